"""The id of a device stays its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from audiostream.client.device_identity import remembered_device_id, state_folder


def test_a_device_keeps_its_id_and_another_one_has_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "audiostream"
    kitchen = remembered_device_id(folder, "Kitchen / 1")
    assert remembered_device_id(folder, "Kitchen / 1") == kitchen
    assert remembered_device_id(folder, "Bath") != kitchen


def test_an_id_that_cannot_be_kept_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    assert remembered_device_id(tmp_path / "file", "Kitchen")
    assert "cannot be kept" in caplog.text


def test_the_folder_is_that_of_the_environment() -> None:
    assert state_folder({"XDG_STATE_HOME": "/state"}) == Path("/state/audiostream")
    home = Path.home() / ".local/state/audiostream"
    assert state_folder({}) == state_folder({"XDG_STATE_HOME": "relative"}) == home

"""``python -m audiostream.client play``: what must be mended is said before it starts."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from audiostream.client.play_command import UsageError, main, token_of

URL = "http://127.0.0.1:1"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["host:3000", "--mpv", sys.executable], "must begin with http://"),
        ([URL, "--mpv", "/no/such/mpv"], "install mpv"),
        ([URL, "--mpv", sys.executable], "AUDIOSTREAM_TOKEN"),
        ([URL, "--mpv", sys.executable, "--token-file", "/no/such"], "cannot be read"),
    ],
)
def test_what_is_wrong_is_said(
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("AUDIOSTREAM_TOKEN", raising=False)
    assert main(["play", *arguments]) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("volume", ["1.5", "-0.1", "loud", "nan"])
def test_a_volume_is_from_0_to_1(volume: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["play", URL, f"--volume={volume}"])
    assert "a volume is from 0 to 1" in capsys.readouterr().err


def test_a_token_file_is_read_for_each_connection(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("first\n")
    token = token_of(path, {"AUDIOSTREAM_TOKEN": "another"})
    assert callable(token)
    assert token() == "first"
    path.write_text("second")
    assert token() == "second"


@pytest.mark.parametrize("content", [b"", b"\n", b"two words", b"\xff\xfe", b"x" * 9000])
def test_a_file_that_holds_no_token_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_bytes(content)
    token = token_of(path, {})
    assert callable(token)
    with pytest.raises(UsageError, match="does not hold one token"):
        token()


def test_a_token_comes_from_the_environment() -> None:
    assert token_of(None, {"AUDIOSTREAM_TOKEN": " token "}) == "token"

"""``tracks.json`` itself; what its slips come to is in ``test_private_places``."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from audiostream.library.manifest import Manifest, parse, read_entries
from tests.support.audio_files import write_wav


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_wav(tmp_path / "private/a.wav", 0.1)
    return tmp_path.resolve()


def parsed(root: Path, *entries: Any, files: Iterable[str] = ()) -> Manifest:
    return parse(root, list(entries), lambda: files)


def slip(audio_url: str) -> dict[str, Any]:
    return {"id": "x", "audioUrl": audio_url, "ownerId": "ada"}


def test_where_there_is_none_there_are_no_entries(root: Path) -> None:
    assert read_entries(root) == []


def test_a_number_that_is_none_is_no_reason_to_fail(root: Path) -> None:
    (root / "tracks.json").write_text('[{"id": "x", "audioUrl": "private/a.wav", "duration": NaN}]')
    manifest = parsed(root, *read_entries(root))
    assert '"duration" must be' in manifest.left_out[0]


def test_a_name_given_twice_with_the_same_value_is_that_value(root: Path) -> None:
    (root / "tracks.json").write_text('[{"id": "x", "id": "x", "audioUrl": "private/a.wav"}]')
    [entry] = parsed(root, *read_entries(root)).entries
    assert entry.id == "x"


def test_what_is_as_it_should_be_asks_for_no_other_files(root: Path) -> None:
    def never() -> Iterable[str]:
        raise AssertionError("the folder is not looked through")

    manifest = parse(root, [slip("private/a.wav"), {"audioUrl": "none.wav"}], never)
    assert manifest.shares
    assert manifest.why_not_shared("other/a.wav") is None


def test_a_file_of_that_name_elsewhere_does_not_end_the_doubt_about_the_folder(root: Path) -> None:
    files = ["private/b.wav", "other/a.wav", "third/c.wav"]
    manifest = parsed(root, slip("/private/a.wav"), files=files)
    assert [name for name in files if not manifest.why_not_shared(name)] == ["third/c.wav"]


def test_a_file_of_that_name_in_the_folder_ends_it(root: Path) -> None:
    files = ["private/a.wav", "private/b.wav"]
    manifest = parsed(root, slip("/private/a.wav"), files=files)
    assert [name for name in files if not manifest.why_not_shared(name)] == ["private/b.wav"]


def test_a_file_missing_from_its_owners_folder_leaves_the_rest_shared(root: Path) -> None:
    manifest = parsed(root, slip("users/ada/gone.wav"), files=["b.wav"])
    assert manifest.shares
    assert manifest.why_not_shared("b.wav") is None
    assert manifest.why_not_shared("lent/Gone.mp3")


def test_a_name_of_signs_alone_means_that_name_alone(root: Path) -> None:
    manifest = parsed(root, slip("private\\!!!.wav"), files=["private/!!!.wav", "x/\u2026.wav"])
    assert manifest.why_not_shared("private/!!!.wav")
    assert manifest.why_not_shared("x/\u2026.wav") is None


def test_thousands_of_slips_in_names_of_any_depth_are_read_in_passing(root: Path) -> None:
    entries = [slip(f"{'a/' * 2000}%2525{number}.wav") for number in range(100)]
    manifest = parsed(root, *entries, files=[f"{number}.wav" for number in range(100)])
    assert len(manifest.left_out) == len(entries)
    assert json.dumps(manifest.left_out)

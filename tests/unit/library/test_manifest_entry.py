"""One entry of ``tracks.json``: what is refused, and what counts as an owner."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiostream.library.library import Library
from audiostream.library.manifest_entry import stated_owner
from tests.conftest import write_wav
from tests.support.media_folder import (
    DIARY,
    owned_entry,
    paths,
    put,
    scan_report,
    titles,
    write_manifest,
)


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ({"audioUrl": "../outside.wav"}, "outside the media folder"),
        ({"audioUrl": "/etc/hostname"}, "outside the media folder"),
        ({"audioUrl": "n" * 300}, "no regular file"),
        ({"audioUrl": "\ud800"}, "is no path"),
        ({"audioUrl": "good%2ewav"}, "no regular file"),
        ({"audioUrl": "escape.wav"}, "outside the media folder"),
        ({"audioUrl": "a.wav/../../outside.wav"}, "outside the media folder"),
        ({"audioUrl": "a\0.wav"}, "must be a path"),
        ({"audioUrl": ""}, "must be a path"),
        ({"audioUrl": 5}, "must be a path"),
        ({"audioUrl": "none.wav"}, "no regular file"),
        ({"audioUrl": "directory"}, "no regular file"),
        ({"audioUrl": "pipe.wav"}, "no regular file"),
        ({"id": ""}, '"id" must be'),
        ({"id": 5}, '"id" must be'),
        ({"id": "a/b"}, '"id" must be'),
        ({"id": "a\nb"}, '"id" must be'),
        ({"id": "x" * 129}, '"id" must be'),
        ({"id": None}, '"id" must be'),
        ({"title": 5}, '"title" must be'),
        ({"artist": "a\0"}, '"artist" must be'),
        ({"duration": "5"}, '"duration" must be'),
        ({"duration": -1}, '"duration" must be'),
        ({"duration": True}, '"duration" must be'),
        ({"duration": 10**400}, '"duration" must be'),
        ({"ownerId": 7}, '"ownerId" must be'),
        ({"ownerId": ""}, '"ownerId" must be'),
        ({"audioUrl": "users/bob/b.wav", "ownerId": "ada"}, "another user's folder"),
    ],
)
def test_an_invalid_entry_is_reported_and_left_out_together_with_its_file(
    folder: Path, tmp_path: Path, entry: dict[str, Any], why: str
) -> None:
    put(tmp_path, "outside.wav")
    put(folder, "a.wav", "good.wav", "users/bob/b.wav")
    (folder / "directory").mkdir()
    (folder / "escape.wav").symlink_to(tmp_path / "outside.wav")
    os.mkfifo(folder / "pipe.wav")
    bad = {"id": "bad", "audioUrl": "a.wav", "title": "Bad"} | entry
    write_manifest(folder, bad, {"id": "good", "audioUrl": "good.wav"})
    library = Library(folder)
    sentences = [line for line in library.scan().left_out if line.startswith("tracks.json")]
    assert len(sentences) == 1
    assert sentences[0].startswith("tracks.json, entry 1:")
    assert why in sentences[0]
    assert str(tmp_path) not in sentences[0]
    assert "Bad" not in titles(library, "ada") + titles(library, "bob")
    if bad["audioUrl"] == "a.wav":
        assert titles(library, "ada") == ["good"]


@pytest.mark.parametrize(
    "owner", ["", " ", 7, 0, False, [], {}, ["alice"], {"id": "alice"}, "a\nb", "x" * 129]
)
@pytest.mark.parametrize("audio_url", [DIARY, "private\\my diary.wav", "nowhere"])
def test_an_owner_that_is_no_id_withholds_the_file(music: Path, owner: Any, audio_url: str) -> None:
    write_manifest(music, owned_entry(audio_url, ownerId=owner))
    library, report = scan_report(music)
    assert DIARY not in paths(library, "bob")
    assert owner == " " or "tracks.json, entry 1:" in report


@pytest.mark.parametrize(
    "entry",
    [
        '{"id": "x", "audioUrl": "private/my diary.wav", "ownerID": "alice"}',
        '{"id": "x", "audioUrl": "private/my diary.wav", "owner_id": "alice"}',
        '{"id": "x", "audioUrl": "private/my diary.wav", "Owner": "alice"}',
        '{"id": "x", "audioUrl": "private/my diary.wav", "ownerId": "alice", "ownerId": null}',
        '{"id": "x", "audioUrl": "private/my diary.wav", "of": {"ownerId": "alice"}}',
        '{"id": "x", "path": "private/my diary.wav", "ownerId": "alice"}',
        '[{"id": "x", "audioUrl": "private/my diary.wav", "ownerId": "alice"}]',
        '"private/my diary.wav"',
    ],
)
def test_a_misspelled_key_of_an_entry_with_an_owner_withholds_the_file(
    music: Path, entry: str
) -> None:
    (music / "tracks.json").write_text(f"[{entry}]")
    library, report = scan_report(music)
    assert DIARY not in paths(library, "bob")
    assert "tracks.json, entry 1:" in report


def test_an_entry_for_a_file_in_a_recycle_bin_is_refused(music: Path) -> None:
    write_wav(music / "#recycle/a.wav", 0.1)
    write_manifest(music, {"id": "x", "audioUrl": "#recycle/a.wav"})
    library, report = scan_report(music)
    assert "x" not in {track.id for track in library.tracks_for("alice")}
    assert "entry 1: its file lies in the recycle bin" in report


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(
    outer=JSON,
    key=st.sampled_from(["ownerId", "owner_id", "OWNER", "user-id", "Owners"]),
    owner=JSON.filter(lambda value: value is not None),
)
def test_an_owner_anywhere_in_an_entry_is_never_taken_for_none(
    outer: Any, key: str, owner: Any
) -> None:
    for item in (
        {key: owner},
        [{key: owner}],
        {"x": outer, "of": {key: owner}},
        [outer, {key: owner}],
    ):
        assert stated_owner(item) is not None

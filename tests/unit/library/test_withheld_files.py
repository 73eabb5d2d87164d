"""Files that an entry with an owner may mean are withheld, however the name is written."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audiostream.library.library import Library
from audiostream.library.manifest import Manifest, parse
from tests.support.audio_files import write_wav
from tests.support.media_folder import DIARY, owned_entry, paths, put, scan_report, write_manifest

SLIPS = [
    "private\\my diary.wav",
    "/private/my diary.wav",
    "http://host/private/my diary.wav",
    "https://host:8443/music/private/my%20diary.wav?dl=1#t=10",
    "file:///srv/music/private/my%20diary.wav",
    "file://C:\\Music\\private\\my diary.wav",
    "C:\\private\\my diary.wav",
    "\\\\nas\\music\\private\\my diary.wav",
    "private%2Fmy%20diary.wav",
    "private%5Cmy%20diary.wav",
    "private%252Fmy%2520diary.wav",
    "private/my+diary.wav",
    "private/my_diary.wav",
    "private/my&#32;diary.wav",
    "./private//my diary.wav ",
    "private/my diary.wav.",
    "private /my diary.wav",
    "Private/My Diary.WAV",
    "PRIVATE/MY DIARY.wav",
    "private/m\u00fd d\u00ecary.wav",
    "\uff50rivate\uff0fmy diary.wav",
    "private/my\u00a0diary.wav",
    "../private/my diary.wav",
    "music/private/my diary.wav",
    "my diary.wav",
    "my diary",
    "private/my diary",
    "private/my diary.mp3",
    "stream?file=private/my diary.wav",
    "private/my diery.wav",
    "private/tomorrow.wav",
    "privat/diery.wav",
    "diery.wav",
    "private",
    "private/",
    "Private/",
    "private/*",
    "private/*.wav",
    "private/**/*.wav",
    "private/my*",
    "*/my diary.wav",
    "*.wav",
    "*",
    ".",
    "./",
    "/",
    "..",
    "",
    "   ",
    "\0",
    "\ud800",
    "http://host/",
    "http://host/api/tracks/stream/81c3?ticket=x",
    "MYDIAR~1.WAV",
    None,
    7,
    ["private/my diary.wav"],
    {"path": "private/my diary.wav"},
]


MANGLINGS: list[Callable[[str], str]] = [
    quote,
    quote_plus,
    str.upper,
    str.title,
    partial(unicodedata.normalize, "NFD"),
    partial(unicodedata.normalize, "NFKC"),
    lambda text: text.replace("/", "\\"),
    lambda text: text.replace(" ", "_"),
    lambda text: text.replace("/", "//"),
    lambda text: f"/{text}",
    lambda text: f"./{text}",
    lambda text: f"../{text}",
    lambda text: f"Music/{text}",
    lambda text: f"C:\\{text}",
    lambda text: f"file:///{text}",
    lambda text: f"http://user@host:80/{text}",
    lambda text: f"{text}?a=b&c=/d",
    lambda text: f"{text}#t=1",
    lambda text: f"{text} ",
    lambda text: f"{text}.",
    lambda text: f'"{text}"',
    lambda text: text.rpartition("/")[2],
    lambda text: text.rpartition("/")[0],
    lambda text: text.rpartition(".")[0],
    lambda text: f"{text[:9]}x{text[9:]}",
    lambda text: f"{text[:3]}{text[4:]}",
    lambda text: f"{text[:-6]}*",
]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(MANGLINGS), max_size=5))
def test_a_name_mangled_in_several_ways_is_never_shared(
    music: Path, manglings: list[Callable[[str], str]]
) -> None:
    name = "privat\u00e9/my di\u00e4ry.wav"
    if not (music / name).exists():
        write_wav(music / name, 0.1)
        write_wav(music / "other/my diary 2.wav", 0.1)
    audio_url = name
    for mangle in manglings:
        audio_url = mangle(audio_url)
    write_manifest(music, owned_entry(audio_url))
    assert name not in paths(scan_report(music)[0], "bob")


@pytest.mark.parametrize("audio_url", SLIPS, ids=repr)
def test_an_owned_entry_with_a_wrong_audio_url_withholds_the_file_from_all(
    music: Path, audio_url: Any
) -> None:
    write_manifest(music, owned_entry(audio_url))
    library, report = scan_report(music)
    for user_id in ("bob", "alice", None):
        assert DIARY not in paths(library, user_id)
    assert "tracks.json, entry 1:" in report
    assert "bob/his.wav" in paths(library, "bob")
    assert "alice/hers.wav" in paths(library, "alice")


@pytest.mark.parametrize("audio_url", SLIPS, ids=repr)
def test_a_restored_library_withholds_the_file_of_a_wrong_audio_url_too(
    music: Path, audio_url: Any
) -> None:
    before, _ = scan_report(music)
    write_manifest(music, owned_entry(audio_url))
    library = Library(music)
    library.restore(before.rows())
    assert DIARY not in paths(library, "bob")


@pytest.mark.parametrize(
    "audio_url", ["private\\my diary.wav", "/private/my diary.wav", "private/", "private/*"]
)
def test_an_unmatched_entry_leaves_files_shared_that_it_cannot_mean(
    music: Path, audio_url: str
) -> None:
    write_manifest(music, owned_entry(audio_url))
    library, report = scan_report(music)
    assert paths(library) == {"album/song.wav"}
    assert f"{DIARY}: tracks.json, entry 1, may mean it" in report


def test_an_entry_that_may_mean_any_file_leaves_files_in_users_folders(music: Path) -> None:
    write_manifest(music, owned_entry(""), {"id": "song", "audioUrl": "album/song.wav"})
    library, report = scan_report(music)
    assert (paths(library), paths(library, "bob")) == (set(), {"bob/his.wav"})
    assert "until it is mended nothing is shared" in report
    write_manifest(music, owned_entry(DIARY), {"id": "song", "audioUrl": "album/song.wav"})
    assert library.scan().left_out == ()
    assert paths(library, "bob") == {"bob/his.wav", "album/song.wav"}
    assert paths(library, "alice") == {"alice/hers.wav", "album/song.wav", DIARY}


@pytest.mark.parametrize("audio_url", ["private\\my diary.wav", "privat/diery.wav"])
def test_an_unmatched_entry_with_an_owner_outweighs_an_entry_that_shares_the_file(
    music: Path, audio_url: str
) -> None:
    write_manifest(music, {"id": "x", "audioUrl": DIARY}, owned_entry(audio_url))
    assert DIARY not in paths(scan_report(music)[0], "bob")


@pytest.mark.parametrize(
    "audio_url", ["/private/my diary.wav", "http://host/private/my%20diary.wav"]
)
def test_an_unmatched_entry_and_one_for_another_user_leave_the_file_to_no_user(
    music: Path, audio_url: str
) -> None:
    write_manifest(music, {"id": "x", "audioUrl": DIARY, "ownerId": "bob"}, owned_entry(audio_url))
    library, _ = scan_report(music)
    assert DIARY not in paths(library, "bob") | paths(library, "alice")


def test_an_unmatched_entry_does_not_withhold_what_another_entry_gives_a_user(music: Path) -> None:
    write_wav(music / "lent/my diary.wav", 0.1)
    write_manifest(
        music,
        {"id": "x", "audioUrl": "lent/my diary.wav", "ownerId": "bob"},
        owned_entry("privat/my diary.wav"),
    )
    library, _ = scan_report(music)
    assert "lent/my diary.wav" in paths(library, "bob")
    assert DIARY not in paths(library, "bob")


def test_a_file_of_that_name_in_another_users_folder_is_not_what_an_entry_means(
    music: Path,
) -> None:
    write_wav(music / "users/bob/diary.wav", 0.1)
    write_manifest(music, owned_entry("diary.wav"))
    assert DIARY not in paths(scan_report(music)[0], "bob")


def test_an_entry_for_a_file_in_a_recycle_bin_withholds_its_name_alone(music: Path) -> None:
    write_manifest(music, owned_entry(DIARY))
    (music / "#recycle").mkdir()
    (music / "private").rename(music / "#recycle/private")
    assert paths(scan_report(music)[0]) == {"album/song.wav"}


def test_an_entry_for_a_file_in_an_empty_folder_withholds_that_folder(music: Path) -> None:
    (music / "later").mkdir()
    write_manifest(music, owned_entry("later/tomorrow.wav"))
    library, _ = scan_report(music)
    assert paths(library) == {"album/song.wav", DIARY}
    write_wav(music / "later/sub/tomorow.wav", 0.1)
    library.scan()
    assert paths(library) == {"album/song.wav", DIARY}


def test_an_unmatched_entry_without_owner_withholds_nothing(music: Path) -> None:
    write_manifest(
        music, {"id": "x", "audioUrl": "none.wav"}, {"id": "y", "audioUrl": "private\\x"}, 5
    )
    library, report = scan_report(music)
    assert paths(library) == {"album/song.wav", DIARY}
    assert "tracks.json, entry 2:" in report


def test_an_unmatched_entry_is_logged_in_one_line(
    music: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_manifest(music, owned_entry("/private/my diary.wav"))
    scan_report(music)
    lines = [record.getMessage() for record in caplog.records]
    assert sum("entry 1:" in line for line in lines) == 1
    assert sum(DIARY in line for line in lines) == 1
    write_manifest(music, owned_entry("nowhere"))
    caplog.clear()
    scan_report(music)
    assert len([line for line in caplog.records if "tracks.json" in line.getMessage()]) == 1


@pytest.fixture
def root(tmp_path: Path) -> Path:
    put(tmp_path, "private/a.wav")
    return tmp_path.resolve()


def parsed(root: Path, *entries: Any, files: Iterable[str] = ()) -> Manifest:
    return parse(root, list(entries), lambda: files)


def test_a_manifest_without_unmatched_owners_does_not_list_the_folder(root: Path) -> None:
    def never() -> Iterable[str]:
        raise AssertionError("the folder is not looked through")

    manifest = parse(root, [owned_entry("private/a.wav"), {"audioUrl": "none.wav"}], never)
    assert manifest.shares
    assert manifest.why_not_shared("other/a.wav") is None


def test_a_file_of_that_name_in_another_folder_leaves_the_named_folder_withheld(root: Path) -> None:
    files = ["private/b.wav", "other/a.wav", "third/c.wav"]
    manifest = parsed(root, owned_entry("/private/a.wav"), files=files)
    assert [name for name in files if not manifest.why_not_shared(name)] == ["third/c.wav"]


def test_a_file_of_that_name_in_the_named_folder_leaves_the_rest_of_it_shared(root: Path) -> None:
    files = ["private/a.wav", "private/b.wav"]
    manifest = parsed(root, owned_entry("/private/a.wav"), files=files)
    assert [name for name in files if not manifest.why_not_shared(name)] == ["private/b.wav"]


def test_a_file_missing_from_its_owners_folder_leaves_the_rest_shared(root: Path) -> None:
    manifest = parsed(root, owned_entry("users/ada/gone.wav"), files=["b.wav"])
    assert manifest.shares
    assert manifest.why_not_shared("b.wav") is None
    assert manifest.why_not_shared("lent/Gone.mp3")


def test_a_name_of_punctuation_alone_means_that_name_alone(root: Path) -> None:
    manifest = parsed(
        root, owned_entry("private\\!!!.wav"), files=["private/!!!.wav", "x/\u2026.wav"]
    )
    assert manifest.why_not_shared("private/!!!.wav")
    assert manifest.why_not_shared("x/\u2026.wav") is None


def test_a_hundred_unmatched_entries_of_two_thousand_folders_are_parsed(root: Path) -> None:
    entries = [owned_entry(f"{'a/' * 2000}%2525{number}.wav") for number in range(100)]
    manifest = parsed(root, *entries, files=[f"{number}.wav" for number in range(100)])
    assert len(manifest.left_out) == len(entries)
    assert json.dumps(manifest.left_out)

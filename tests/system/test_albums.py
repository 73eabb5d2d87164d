"""Albums and audiobooks are listed in the order in which they are played."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from audiostream.library.library import Library
from tests.conftest import Serve
from tests.support.audio_files import tagged
from tests.support.ws_client import connect

Token = Callable[..., str]
CHAPTERS = ("Prologue", "Arrival", "The Storm", "Homecoming", "Epilogue")


def titles(folder: Path) -> list[str]:
    library = Library(folder)
    library.scan()
    return [track.title for track in library.tracks_for(None)]


def test_chapters_come_by_their_number(tmp_path: Path) -> None:
    for number, title in enumerate(CHAPTERS, 1):
        tagged(tmp_path / f"{title}.mp3", TIT2=title, TPE1="A", TALB="Book", TRCK=f"{number}/5")
    assert titles(tmp_path) == list(CHAPTERS)


def test_numbers_are_numbers(tmp_path: Path) -> None:
    for number in (1, 2, 9, 10, 11, 100):
        tagged(tmp_path / f"{number}.mp3", TIT2=f"{1000 - number}", TALB="A", TRCK=str(number))
    assert titles(tmp_path) == ["999", "998", "991", "990", "989", "900"]


def test_discs_come_one_after_the_other(tmp_path: Path) -> None:
    for disc, number, title in ((2, 1, "c"), (1, 2, "b"), (1, 1, "a"), (10, 1, "e"), (2, 2, "d")):
        tagged(tmp_path / f"{title}.mp3", TIT2=title, TALB="A", TRCK=str(number), TPOS=str(disc))
    assert titles(tmp_path) == ["a", "b", "c", "d", "e"]


def test_an_album_of_many_artists_stays_together(tmp_path: Path) -> None:
    for number, artist in ((1, "Zoe"), (2, "Ada"), (3, "Moe")):
        tagged(
            tmp_path / f"{number}.mp3",
            TIT2=f"{artist} sings",
            TPE1=artist,
            TPE2="Various",
            TALB="Together",
            TRCK=str(number),
        )
    tagged(tmp_path / "x.mp3", TIT2="Alone", TPE1="Nora")
    assert titles(tmp_path) == ["Alone", "Zoe sings", "Ada sings", "Moe sings"]


def test_what_has_no_number_comes_last_and_by_title(tmp_path: Path) -> None:
    for title, number in (("b", "2"), ("d", ""), ("c", "x"), ("a", "1")):
        tagged(tmp_path / f"{title}.mp3", TIT2=title, TALB="A", TRCK=number)
    assert titles(tmp_path) == ["a", "b", "c", "d"]


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg makes the files")
@pytest.mark.parametrize("suffix", ["mp3", "m4a", "m4b", "ogg", "opus", "flac"])
def test_every_format_has_its_numbers(tmp_path: Path, suffix: str) -> None:
    said = ("title=Arrival", "artist=Ada", "album=Book", "album_artist=All", "disc=1", "track=2")
    given = [word for text in said for word in ("-metadata", text)]
    sound = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "sine=d=2"]
    container = ["-f", "mp4"] if suffix == "m4b" else []
    subprocess.run([*sound, *given, *container, str(tmp_path / f"a.{suffix}")], check=True)
    library = Library(tmp_path)
    library.scan()
    [track] = library.tracks_for(None)
    assert (track.title, track.artist, track.album) == ("Arrival", "Ada", "Book")
    assert (track.album_artist, track.disc, track.track_number) == ("All", 1, 2)
    assert track.duration == pytest.approx(2.0, rel=0.05)


async def test_clients_are_told_the_numbers(serve: Serve, media: Path, token: Token) -> None:
    tagged(media / "a.mp3", TIT2="Arrival", TPE2="All", TALB="Book", TRCK="2", TPOS="1")
    tagged(media / "b.mp3", TIT2="Bare")
    client = await serve()
    async with client.get("/tracks", headers={"Authorization": f"Bearer {token()}"}) as answer:
        listed = {track["title"]: track for track in (await answer.json())["tracks"]}

    def numbers(track: dict[str, Any]) -> dict[str, Any]:
        return {name: track.get(name) for name in ("albumArtist", "disc", "trackNumber")}

    expected = {"albumArtist": "All", "disc": 1, "trackNumber": 2}
    assert numbers(listed["Arrival"]) == expected
    assert not listed["Bare"].keys() & expected.keys()
    async with connect(client.session, str(client.make_url("/ws")), token()) as phone:
        answered = await phone.ask("playTrack", trackId=listed["Arrival"]["id"])
        assert numbers(answered["data"]["track"]) == expected

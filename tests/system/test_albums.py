"""Disc and track numbers, from the files of an encoder to the clients."""

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


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg makes the files")
@pytest.mark.parametrize("suffix", ["mp3", "m4a", "m4b", "ogg", "opus", "flac"])
def test_disc_and_track_numbers_are_read_from_every_format(tmp_path: Path, suffix: str) -> None:
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


async def test_clients_receive_disc_and_track_numbers_in_lists_and_events(
    serve: Serve, media: Path, token: Token
) -> None:
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

"""A file that an entry of ``tracks.json`` withholds is not to be had by any route."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import ClientSession

from audiostream.services import LIBRARY
from tests.conftest import Client, Launch, Serve, ServerProcess, write_wav
from tests.support.media_folder import DIARY, owned_entry, write_manifest
from tests.support.ws_client import connect

Token = Callable[..., str]


def diary_of(client: Client) -> str:
    """The id of the diary while it is shared."""
    tracks = client.app[LIBRARY].tracks_for(None)
    return next(track.id for track in tracks if track.path.name == Path(DIARY).name)


@pytest.fixture
async def shared(serve: Serve, media: Path) -> tuple[Client, str]:
    """An application where the diary is still shared, and its id."""
    write_wav(media / DIARY, 0.5)
    client = await serve()
    return client, diary_of(client)


@pytest.mark.parametrize(
    "audio_url", ["private\\my diary.wav", "http://host/private/my diary.wav", "private/*", ""]
)
async def test_a_withheld_file_is_gone_from_every_route_for_all_users(
    shared: tuple[Client, str], media: Path, token: Token, audio_url: str
) -> None:
    client, track_id = shared
    bob = {"Authorization": f"Bearer {token('bob')}"}
    async with client.get(f"/tracks/{track_id}", headers=bob) as answer:
        ticketed = (await answer.json())["streamUrl"]
    async with client.post("/session", headers=bob) as answer:
        assert answer.status == 204
    for path in (ticketed, f"/tracks/stream/{track_id}"):
        async with client.get(path, headers={"Range": "bytes=0-9"}) as answer:
            assert answer.status == 206
    entries = json.loads((media / "tracks.json").read_text())
    write_manifest(media, *entries, owned_entry(audio_url))
    await asyncio.to_thread(client.app[LIBRARY].scan)
    for headers in (bob, {}, {"Authorization": f"Bearer {token('alice')}"}):
        for path in (ticketed, f"/tracks/stream/{track_id}", f"/tracks/cover/{track_id}"):
            async with client.get(path, headers=headers) as answer:
                assert answer.status in {404, 401}, path
                assert b"RIFF" not in await answer.read()
    async with client.get(f"/tracks/stream/{track_id}") as answer:  # by the cookie
        assert answer.status == 404
    async with client.get(f"/tracks/{track_id}", headers=bob) as answer:
        assert answer.status == 404
    async with client.get("/tracks", headers=bob) as answer:
        assert track_id not in await answer.text()
    async with client.post(f"/tracks/play/{track_id}", headers=bob) as answer:
        assert answer.status == 404
    async with connect(client.session, str(client.make_url("/ws")), token("bob")) as peer:
        error = await peer.ask("playTrack", trackId=track_id)
        assert error["data"]["code"] == "track_not_found"


async def test_a_withheld_file_is_gone_for_anonymous_listeners_of_public_streams(
    serve: Serve, media: Path, token: Token
) -> None:
    write_wav(media / DIARY, 0.5)
    client = await serve(public_streams=True)
    path = f"/tracks/stream/{diary_of(client)}"
    async with client.get(path) as answer:
        assert answer.status == 200
    write_manifest(media, owned_entry("/private/my diary.wav"))
    await asyncio.to_thread(client.app[LIBRARY].scan)
    async with client.get(path) as answer:
        assert answer.status in {401, 404}


async def test_a_withheld_file_is_gone_on_a_connection_that_has_just_streamed_it(
    launch: Launch, media: Path, token: Token
) -> None:
    write_wav(media / DIARY, 0.5)
    server = launch()
    await server.logs("the library has")
    headers = {"Authorization": f"Bearer {token('bob')}"}
    async with ClientSession(server.url) as session:
        async with session.get("/tracks?q=my+diary", headers=headers) as answer:
            [track] = (await answer.json())["tracks"]
        part = {"Range": "bytes=0-99"}
        for _ in range(3):
            async with session.get(track["streamUrl"], headers=part) as answer:
                assert (answer.status, len(await answer.read())) == (206, 100)
        write_manifest(media, owned_entry("C:\\music\\private\\my diary.wav"))
        server.process.send_signal(signal.SIGHUP)
        await server.logs(f"left out {DIARY}")
        async with asyncio.timeout(10):
            while True:  # the line may come a moment before or after the new list
                async with session.get(track["streamUrl"], headers=part) as answer:
                    if answer.status == 404:
                        break
                await asyncio.sleep(0.05)
        async with session.get("/tracks", headers=headers) as answer:
            assert "diary" not in await answer.text()


def test_withheld_files_and_excluded_folders_are_logged(launch: Launch, media: Path) -> None:
    write_wav(media / DIARY, 0.5)
    write_wav(media / "#recycle/users/ada/old.wav", 0.5)
    write_manifest(media, owned_entry("/private/my diary.wav"))
    server: ServerProcess = launch()
    assert "entry 1" in server.wait_for_log("left out tracks.json")
    server.wait_for_log(f"left out {DIARY}")
    server.wait_for_log("left out '#recycle': it is the recycle bin")

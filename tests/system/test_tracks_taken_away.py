"""A track that a rescan removes, or gives to another user, while it plays can be paused."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from audiostream.client import connect as player
from audiostream.services import SERVICES
from tests.conftest import Client, Serve
from tests.support.server_process import Launch
from tests.support.ws_client import Peer, connect

Token = Callable[..., str]
TakeAway = Callable[[Client], Awaitable[None]]


async def _remove(media: Path) -> None:
    (media / "song.wav").unlink()


async def _give_to_bob(media: Path) -> None:
    entries = json.loads((media / "tracks.json").read_text())
    for entry in entries:
        if entry["id"] == "song":
            entry["ownerId"] = "bob"
    (media / "tracks.json").write_text(json.dumps(entries))


@pytest.fixture(params=[_remove, _give_to_bob], ids=["removed", "given to Bob"])
def take_away(request: pytest.FixtureRequest, media: Path) -> TakeAway:
    """Take ``song`` from Ada, by a rescan."""

    async def take(client: Client) -> None:
        await request.param(media)
        await asyncio.to_thread(client.app[SERVICES].library.scan)

    return take


async def _hers(client: Client, path: str, token: str, body: Any = None) -> tuple[int, Any]:
    method = "GET" if body is None else "POST"
    headers = {"Authorization": f"Bearer {token}"}
    async with client.request(method, path, json=body, headers=headers) as answer:
        return answer.status, await answer.json()


async def _plays(phone: Peer) -> str:
    """The address of the stream of ``song``, which plays from 10 s on."""
    await phone.send("playTrack", trackId="song", currentTime=10.0)
    return str((await phone.receives("trackPlaying"))["track"]["streamUrl"])


async def test_a_removed_track_that_plays_is_paused_sought_and_reported_over_a_websocket(
    serve: Serve, token: Token, take_away: TakeAway
) -> None:
    client = await serve()
    async with connect(client.session, str(client.make_url("/ws")), token()) as phone:
        address = await _plays(phone)
        await take_away(client)
        report = {"trackId": "song", "currentTime": 10.2, "isPlaying": True}
        frame = await phone.ask("updateStreaming", **report)
        assert (frame["event"], frame["data"]["trackId"]) == ("trackState", "song")
        assert frame["data"]["duration"] == 60
        frame = await phone.ask("playTrack", trackId="song", currentTime=30.0)
        assert (frame["event"], frame["data"]["currentTime"]) == ("trackPlaying", 30.0)
        assert "track" not in frame["data"]
        frame = await phone.ask("pauseTrack", trackId="song")
        assert (frame["event"], frame["data"]["isPlaying"]) == ("trackPaused", False)
        frame = await phone.ask("playTrack", trackId="song")
        assert frame["data"]["code"] == "track_not_found"
        frame = await phone.ask("getCurrentState")
        assert (frame["data"]["trackId"], frame["data"]["isPlaying"]) == ("song", False)
        report = {"trackId": "song", "currentTime": 30.0, "isPlaying": False}
        assert (await phone.ask("updateStreaming", **report))["event"] == "trackState"
        async with client.get(address) as answer:
            assert answer.status == 404
        assert (await phone.ask("playTrack", trackId="other"))["event"] == "trackPlaying"
        frame = await phone.ask("playTrack", trackId="song")
        assert frame["data"]["code"] == "track_not_found"


async def test_a_removed_track_that_plays_is_paused_and_sought_over_rest(
    serve: Serve, token: Token, take_away: TakeAway
) -> None:
    client = await serve()
    assert (await _hers(client, "/tracks/play/song", token(), {"currentTime": 10.0}))[0] == 200
    await take_away(client)
    for is_playing in (True, False):
        sought = {"currentTime": 40.0, "isPlaying": is_playing}
        status, state = await _hers(client, "/tracks/update-state/song", token(), sought)
        assert (status, state["currentTime"], state["duration"]) == (200, 40.0, 60)
    status, state = await _hers(client, "/tracks/pause/song", token(), {"currentTime": 20.0})
    assert (status, state["trackId"], state["isPlaying"]) == (200, "song", False)
    for path, body in (("play", {}), ("update-state", {"currentTime": 1, "isPlaying": True})):
        assert (await _hers(client, f"/tracks/{path}/song", token(), body))[0] == 404
    assert (await _hers(client, "/tracks/current-state", token()))[1]["trackId"] == "song"
    assert (await _hers(client, "/tracks/song", token()))[0] == 404
    assert (await _hers(client, "/tracks/play/other", token(), {}))[0] == 200
    for action in ("play", "pause"):
        status, refused = await _hers(client, f"/tracks/{action}/song", token(), {})
        assert (status, refused["error"]["code"]) == (404, "track_not_found")


async def test_a_removed_track_that_plays_is_paused_by_a_socketio_client(
    serve: Serve, token: Token, take_away: TakeAway
) -> None:
    socketio = pytest.importorskip("socketio", reason="the [socketio] extra is not installed")
    client = await serve()
    browser = socketio.AsyncClient(reconnection=False)
    await browser.connect(str(client.make_url("/")), auth={"token": token()})
    try:
        await browser.call("playTrack", {"trackId": "song", "currentTime": 10.0})
        await take_away(client)
        state = await browser.call("pauseTrack", {"trackId": "song"})
        assert (state["trackId"], state["isPlaying"]) == ("song", False)
        report = {"trackId": "song", "currentTime": 20.0, "isPlaying": False}
        assert (await browser.call("updateStreaming", report))["currentTime"] == 20.0
    finally:
        await browser.disconnect()


async def test_a_removed_track_is_not_found_for_users_who_do_not_play_it(
    serve: Serve, token: Token, take_away: TakeAway
) -> None:
    client = await serve()
    await _hers(client, "/tracks/play/song", token(), {})
    await take_away(client)
    for user, track in (("carol", "song"), ("ada", "none"), ("ada", "his")):
        status, refused = await _hers(client, f"/tracks/pause/{track}", token(user), {})
        assert (status, refused["error"]["code"]) == (404, "track_not_found")


async def test_a_track_that_was_removed_before_a_restart_can_still_be_paused(
    launch: Launch, token: Token, media: Path, tmp_path: Path
) -> None:
    state_file = str(tmp_path / "state")
    server = launch("--state", state_file)
    await server.logs("the library has")
    async with player(server.url, token()) as before:
        await before.play("song", 20.0)
    assert server.stop() == 0
    await _remove(media)
    server = launch("--state", state_file)
    await server.logs("the library has")
    async with player(server.url, token()) as after:
        assert (await after.state()).track_id == "song"
        state = await after.pause(position=25.0)
    assert (state.track_id, state.position, state.is_playing) == ("song", 25.0, False)

"""The Python client on real server processes."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from audiostream.client import Event, Player, connect, connection
from audiostream.client.event_queue import MAX_EVENTS
from audiostream.errors import (
    Conflict,
    InvalidMessage,
    RateLimited,
    TrackNotFound,
    Unauthorized,
)
from tests.support.server_process import SECRET, Launch, ServerProcess

Token = Callable[..., str]
PATIENCE = 10.0


@pytest.fixture
def server(launch: Launch) -> ServerProcess:
    started = launch()
    started.wait_for_log("the library has")
    return started


@pytest.fixture(autouse=True)
async def nothing_is_left_running() -> AsyncIterator[None]:
    yield
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def receives(player: Player, name: str) -> Event:
    """The next event of that name; those before it are passed over."""
    async with asyncio.timeout(PATIENCE):
        async for event in player:
            if event.name == name:
                return event
    raise AssertionError(f"the player ended before {name}")


async def test_a_player_plays_reports_and_pauses(server: ServerProcess, token: Token) -> None:
    async with connect(server.url, token()) as player:
        assert (await player.state()).track_id is None
        assert not (await player.pause()).is_playing
        playing = await player.play("song", 5)
        assert (playing.track_id, playing.position, playing.is_playing) == ("song", 5.0, True)
        assert 5.0 <= player.position < 15.0
        told = await player.report("song", playing.position, is_playing=True)
        assert told is not None
        assert told.rev == playing.rev
        paused = await player.pause(position=7)
        assert (paused.position, paused.is_playing, player.position) == (7.0, False, 7.0)
        assert (await player.play("other")).position == 0.0
        assert (await player.play("song", resume=True)).position == 7.0


async def test_two_players_of_a_user_receive_each_other_s_changes(
    server: ServerProcess, token: Token
) -> None:
    async with (
        connect(server.url, token(), device_id="wall") as wall,
        connect(server.url, token(), device_id="kiosk", device_name="Kitchen") as kiosk,
    ):
        assert (await receives(kiosk, "trackState")).state.track_id is None
        await receives(wall, "trackState")
        await wall.play("song", 3)
        event = await receives(kiosk, "trackPlaying")
        assert event.track is not None
        assert (event.track.title, event.state.device_id) == ("Song", "wall")
        assert (await receives(wall, "trackPlaying")).state.rev == event.state.rev
        await kiosk.pause()
        assert not (await receives(wall, "trackPaused")).state.is_playing


async def test_a_player_whose_id_the_server_has_cleaned_sounds_as_the_active_device(
    server: ServerProcess, token: Token
) -> None:
    async with connect(server.url, token(), device_id=" wall ") as wall:
        await wall.play("song")
        assert wall.device_id == "wall"
        assert wall.sounds_here


async def test_tracks_come_with_an_address_that_streams(
    server: ServerProcess, token: Token
) -> None:
    async with connect(server.url + "/", token()) as player:
        assert {track.id for track in await player.tracks()} == {"song", "other", "hers"}
        [song] = await player.tracks("somebody")
        assert (song.title, song.artist, song.duration) == ("Song", "Somebody", 60)
        async with player._requests.session.get(song.stream_url) as answer:
            assert answer.status == 200
            assert (await answer.read())[:4] == b"RIFF"


async def test_refusals_are_exceptions_by_their_code(server: ServerProcess, token: Token) -> None:
    async with connect(server.url, token()) as player:
        with pytest.raises(TrackNotFound):
            await player.play("his")
        with pytest.raises(InvalidMessage):
            await player.play("song", -1)
        await player.play("song")
        with pytest.raises(Conflict) as conflict:
            await player.pause("other")
        assert conflict.value.state["trackId"] == "song"
        with pytest.raises(RateLimited):
            await asyncio.gather(*(player.state() for _ in range(60)))


async def test_a_player_reconnects_when_the_server_is_back(
    launch: Launch, token: Token, tmp_path: Path
) -> None:
    state = ("--state", str(tmp_path / "state"))  # with it, the tracks are there at once
    first = launch(*state)
    await first.logs("the library has")
    async with connect(first.url, token()) as player:
        await player.play("song", 5)
        await receives(player, "trackPlaying")
        await asyncio.to_thread(first.stop)
        async with asyncio.timeout(PATIENCE):
            while await player.report("song", 6, is_playing=True) is not None:
                await asyncio.sleep(0.01)
        waiting = asyncio.create_task(player.play("other", 9))
        second = launch(*state, "--port", str(first.port))
        assert second.port == first.port
        assert (await waiting).track_id == "other"
        assert (await receives(player, "trackState")).state.track_id == "song"
        assert (await receives(player, "trackPlaying")).state.track_id == "other"


async def test_a_command_without_a_server_raises_in_time(unused_tcp_port: int) -> None:
    async with connect(f"http://127.0.0.1:{unused_tcp_port}", "any", timeout=0.3) as player:
        with pytest.raises(TimeoutError, match=r"within 0\.3 s"):
            await player.pause()


async def test_a_refused_token_ends_the_player(server: ServerProcess) -> None:
    async with connect(server.url, "forged") as player:
        with pytest.raises(Unauthorized):
            await player.state()
        with pytest.raises(Unauthorized):
            await receives(player, "trackState")
        with pytest.raises(Unauthorized):
            await player.report("song", 0, is_playing=True)
        with pytest.raises(Unauthorized):
            await player.tracks()


async def test_a_bad_label_ends_the_player(server: ServerProcess, token: Token) -> None:
    async with connect(server.url, token(), device_name="two\nlines") as player:
        with pytest.raises(InvalidMessage):
            await player.state()


async def test_a_string_token_that_expires_ends_the_player(
    server: ServerProcess, token: Token
) -> None:
    # Expired by 29 of the 30 s of leeway: good for the first connection alone.
    async with connect(server.url, token("ada", -28)) as player:
        await player.state()
        with pytest.raises(Unauthorized):
            await receives(player, "never")


async def test_a_token_is_renewed_on_the_open_socket(server: ServerProcess, token: Token) -> None:
    lives = iter([-27.0, 3600.0])

    async def fresh() -> str:
        return token("ada", next(lives))  # a third call would raise

    async with connect(server.url, fresh) as player:
        await player.state()
        await asyncio.sleep(4)
        await player.play("song")
        assert next(lives, None) is None


async def test_a_renewal_for_another_user_ends_the_player(
    server: ServerProcess, token: Token
) -> None:
    users = iter(["ada", "bob"])
    async with connect(server.url, lambda: token(next(users), -20)) as player:
        with pytest.raises(Unauthorized):
            await receives(player, "never")


async def test_a_token_that_cannot_be_had_ends_the_player(server: ServerProcess) -> None:
    def broken() -> str:
        raise LookupError("no such drawer")

    async with connect(server.url, broken) as player:
        with pytest.raises(LookupError, match="drawer"):
            await player.pause()


async def test_cancellation_leaves_the_player_usable(server: ServerProcess, token: Token) -> None:
    async with connect(server.url, token()) as player:
        await player.state()
        server.process.send_signal(signal.SIGSTOP)
        waiting = asyncio.create_task(player.pause())
        await asyncio.sleep(0.05)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert not player._connection._answers
        server.process.send_signal(signal.SIGCONT)
        assert (await player.state()).track_id is None


async def test_a_server_that_hangs_costs_no_more_than_the_timeout(
    server: ServerProcess, token: Token
) -> None:
    async with connect(server.url, token(), timeout=0.5) as player:
        async with asyncio.timeout(PATIENCE):
            await receives(player, "trackState")
        server.process.send_signal(signal.SIGSTOP)
        with pytest.raises(TimeoutError):
            await player.state()
    server.process.send_signal(signal.SIGCONT)


async def test_a_connection_that_died_is_noticed(
    server: ServerProcess, token: Token, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "HEARTBEAT", 0.2)
    async with connect(server.url, token()) as player:
        await receives(player, "trackState")
        server.process.send_signal(signal.SIGSTOP)
        async with asyncio.timeout(PATIENCE):
            while player.is_connected:
                await asyncio.sleep(0.02)
        server.process.send_signal(signal.SIGCONT)
        await receives(player, "trackState")


async def test_a_player_that_is_used_after_its_block_raises(
    server: ServerProcess, token: Token
) -> None:
    async with connect(server.url, token()) as player:
        listening = asyncio.create_task(receives(player, "never"))
        await player.state()
    with pytest.raises(AssertionError, match="ended"):
        await listening
    with pytest.raises(ConnectionError):
        await player.pause()


async def test_events_that_nobody_reads_are_dropped_beyond_a_number(
    server: ServerProcess, token: Token
) -> None:
    async with connect(server.url, token()) as player:
        await player.state()
        for rev in range(MAX_EVENTS * 2):
            assert player.last is not None
            player._events.put(Event(str(rev), player.last))
        assert (await anext(player)).name == str(MAX_EVENTS)


async def test_a_revoked_token_ends_the_player(
    launch: Launch, token: Token, tmp_path: Path
) -> None:
    state = str(tmp_path / "state.sqlite3")
    server = launch("--state", state)
    await server.logs("the library has")
    async with connect(server.url, token()) as player:
        await player.state()
        revoking = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "audiostream", "revoke", "ada"),
            env=os.environ | {"JWT_SECRET": SECRET, "AUDIOSTREAM_STATE": state},
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert await revoking.wait() == 0
        with pytest.raises(Unauthorized):
            await receives(player, "never")

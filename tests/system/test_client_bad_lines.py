"""The Python client on a line that is held: it passes nothing and closes nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from audiostream.client import Player, connect
from audiostream.errors import Conflict
from tests.conftest import ProxyTo
from tests.support.proxy import Mode
from tests.support.server_process import Launch, ServerProcess
from tests.support.waiting import PATIENCE, until

Token = Callable[..., str]

OUTAGE = 12.0
"""Seconds."""
NOTICED = 10.0
"""Seconds in which a dead line is noticed."""


@pytest.fixture
def server(launch: Launch) -> ServerProcess:
    started = launch()
    started.wait_for_log("the library has")
    return started


async def seconds_until_noticed(player: Player) -> float:
    """How long it takes until a report finds no line any more."""
    began = time.monotonic()
    async with asyncio.timeout(2 * NOTICED):
        while await player.report("song", 5.0, is_playing=False) is not None:
            pass
    return time.monotonic() - began


async def names_of(player: Player, heard: list[str]) -> None:
    async for event in player:
        heard.append(event.name)


async def test_a_held_line_is_noticed_and_a_command_given_meanwhile_takes_effect_once(
    server: ServerProcess, proxy_to: ProxyTo, token: Token
) -> None:
    line = await proxy_to(server.port)
    heard: list[str] = []
    async with (
        connect(line.url, token(), timeout=60.0) as kiosk,
        connect(server.url, token()) as kitchen,
    ):
        listening = asyncio.create_task(names_of(kitchen, heard))
        await kiosk.play("song", 5.0)
        rev = (await kiosk.pause()).rev
        await until(lambda: heard[-2:] == ["trackPlaying", "trackPaused"])
        heard.clear()
        await line.switch(Mode.HOLD)
        began = time.monotonic()
        playing = asyncio.create_task(kiosk.play("other", 9.0))
        assert await seconds_until_noticed(kiosk) < NOTICED + 5.0  # on a busy machine
        await asyncio.sleep(OUTAGE - (time.monotonic() - began))
        await line.switch(Mode.PASS)
        async with asyncio.timeout(PATIENCE):
            state = await playing
        await asyncio.sleep(1.0)
        assert (state.track_id, state.is_playing, state.rev) == ("other", True, rev + 1)
        assert (await kitchen.state()).rev == rev + 1
        assert heard == ["trackPlaying"]
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def test_a_command_that_arrives_late_does_not_undo_what_was_done_since(
    server: ServerProcess, proxy_to: ProxyTo, token: Token
) -> None:
    line = await proxy_to(server.port)
    async with connect(line.url, token()) as kiosk, connect(server.url, token()) as kitchen:
        await kiosk.play("song", 5.0)
        await line.switch(Mode.HOLD)
        playing = asyncio.create_task(kiosk.play("other", 9.0))
        await asyncio.sleep(2.5)
        rev = (await kitchen.pause("song")).rev
        await line.switch(Mode.PASS)
        with pytest.raises(Conflict):
            await playing
        state = await kitchen.state()
        assert (state.track_id, state.is_playing, state.rev) == ("song", False, rev)


async def test_of_two_that_act_at_once_both_take_effect(
    server: ServerProcess, token: Token
) -> None:
    async with connect(server.url, token()) as kiosk, connect(server.url, token()) as kitchen:
        rev = (await kiosk.play("song", 5.0)).rev
        await kitchen.state()
        for _ in range(5):
            await asyncio.gather(kiosk.play("song"), kitchen.pause("song"))
        assert (await kitchen.state()).rev == rev + 10

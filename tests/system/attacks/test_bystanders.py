"""Attacks do not disturb other users."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from aiohttp import ClientSession, TCPConnector

from tests.support.attack_target import AttackTarget
from tests.support.forged_tokens import forgeries
from tests.support.raw_http import bearer, request
from tests.support.raw_websocket import frame
from tests.support.ws_client import connect
from tests.system.attacks.expectations import Token
from tests.system.attacks.payloads import FATAL_FRAMES, SECOND, TOLERATED_MESSAGES, smuggled


class TestBystanders:
    async def test_a_hundred_other_users_get_every_answer_while_the_server_is_attacked(
        self, target: AttackTarget, token: Token
    ) -> None:
        """In each round of attacks every other user plays, and gets that answer and no more."""
        attacks = all_attacks(target, token("mallory"))
        rounds = [attacks[start : start + 8] for start in range(0, len(attacks), 8)]
        async with contextlib.AsyncExitStack() as stack:
            session = ClientSession(connector=TCPConnector(limit=0))
            await stack.enter_async_context(session)
            others = [
                await stack.enter_async_context(
                    connect(session, f"{target.server.url}/ws", token(f"user-{number}"))
                )
                for number in range(100)
            ]
            for rev, batch in enumerate(rounds, 1):
                attacking = asyncio.gather(*(attack() for attack in batch))
                answers = await asyncio.gather(
                    *(other.ask("playTrack", trackId="song", currentTime=rev) for other in others)
                )
                await attacking
                found = {(answer["event"], answer["data"]["rev"]) for answer in answers}
                assert found == {("trackPlaying", rev)}
            for other in others:
                await other.receives_nothing()


def all_attacks(target: AttackTarget, token: str) -> Sequence[Callable[[], Awaitable[None]]]:
    """Every malformed frame, request and token of this module once more."""

    async def by_socket(attack: bytes) -> None:
        async with target.socket(token) as device:
            await device.send(attack)
            await device.rest(0.05)

    async def by_request(attack: bytes) -> None:
        await target.exchange(attack, 0.5)

    frames = [attack for attack, _ in FATAL_FRAMES.values()]
    frames += [frame(text) for text, _ in TOLERATED_MESSAGES.values()]
    requests = [head + SECOND for head in smuggled(token).values()]
    requests += [
        request("GET", "/tracks", bearer(forged)) for forged in forgeries(time.time()).values()
    ]
    return [partial(by_socket, each) for each in frames] + [
        partial(by_request, each) for each in requests
    ]

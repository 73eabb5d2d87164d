"""How many commands others noted since the last call, of answers as Redis gives them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

pytest.importorskip("redis", reason="the [redis] extra is not installed")

from audiostream.storage.redis_exchange import KEPT_FOR, RedisExchange


class FakeConnection:
    """Answers what a test puts into ``streams`` and ``commands``, for every user."""

    streams: Sequence[Any] = ()
    commands: Sequence[Any] = ()

    async def ask_all(self, requests: Sequence[Any]) -> list[Any]:
        return [(self.streams, self.commands) for _ in requests]


class Exchange:
    """A ``RedisExchange`` with a clock of the test."""

    def __init__(self) -> None:
        self.now = 100.0
        self.connection = FakeConnection()
        connection: Any = self.connection
        self.exchange = RedisExchange(connection, lambda: self.now)

    async def commands(self, total: int, last: int, age: float = 0.1, user: str = "ada") -> int:
        """Return how many are new, where another process has noted so many."""
        self.connection.commands = [(b"other", b"%d" % total, b"%d" % last, b"%.3f" % age)]
        return (await self.exchange.exchange("this", {user: 0}, {}))[user][1]


@pytest.fixture
def exchange() -> Exchange:
    return Exchange()


async def test_each_command_is_returned_once(exchange: Exchange) -> None:
    assert await exchange.commands(total=50, last=4) == 4
    assert await exchange.commands(total=50, last=4) == 0
    assert await exchange.commands(total=57, last=2) == 7


async def test_those_of_long_ago_are_not_returned(exchange: Exchange) -> None:
    assert await exchange.commands(total=50, last=4, age=10.0) == 0


async def test_a_call_about_another_user_leaves_what_is_known_of_the_first(
    exchange: Exchange,
) -> None:
    assert await exchange.commands(total=50, last=4) == 4
    assert await exchange.commands(total=8, last=8, user="bob") == 8
    exchange.now += KEPT_FOR
    assert await exchange.commands(total=53, last=1) == 3


async def test_what_is_known_of_a_user_is_forgotten_after_two_seconds(exchange: Exchange) -> None:
    for number in range(100):
        await exchange.commands(total=50, last=4, user=f"user{number}")
    assert len(exchange.exchange._totals) == 100
    exchange.now += KEPT_FOR + 0.1
    assert await exchange.commands(total=90, last=1) == 1
    assert len(exchange.exchange._totals) == 1


async def test_totals_that_begin_anew_are_those_of_a_store_that_was_emptied(
    exchange: Exchange,
) -> None:
    assert await exchange.commands(total=50, last=4) == 4
    assert await exchange.commands(total=3, last=3) == 3


async def test_streams_of_processes_that_note_nothing_any_more_do_not_count(
    exchange: Exchange,
) -> None:
    exchange.connection.streams = [
        (b"dead", b"5", b"0", b"15.1"),
        (b"one", b"2", b"0", b"14.9"),
        (b"two", b"1", b"0", b"0.2"),
    ]
    assert await exchange.exchange.exchange("this", {"ada": 1}, {}) == {"ada": (3, 0)}

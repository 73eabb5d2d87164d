"""What users have in other processes: open streams, and REST commands of the last second."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from .redis_connection import RedisConnection
from .redis_keys import user_key
from .redis_requests import call
from .redis_scripts import EXCHANGE

ALIVE_FOR: Final = 15.0
"""Seconds after which what a process has noted of its streams does not count any more."""
FORGOTTEN_AFTER: Final = 60
"""Seconds after which it is removed."""
RECENT: Final = 1.5
"""Seconds: commands noted within them count for a user who is asked about for the first time."""


class RedisExchange:
    """Remembers how many commands of which process it has returned."""

    def __init__(self, connection: RedisConnection) -> None:
        self._connection = connection
        self._totals: dict[tuple[str, bytes], int] = {}

    async def exchange(
        self, process_id: str, streams: Mapping[str, int], commands: Mapping[str, int]
    ) -> dict[str, tuple[int, int]]:
        """See ``SharedStore.exchange``. Not repeatable."""
        user_ids = list(streams.keys() | commands.keys())
        answers = await self._connection.ask_all(
            [
                call(
                    EXCHANGE,
                    [user_key(user_id, "streams"), user_key(user_id, "commands")],
                    *(process_id, streams.get(user_id, 0), commands.get(user_id, 0)),
                    FORGOTTEN_AFTER,
                )
                for user_id in user_ids
            ]
        )
        totals: dict[tuple[str, bytes], int] = {}
        found = {}
        for user_id, (others, noted) in zip(user_ids, answers, strict=True):
            count = sum(int(count) for _, count, _, age in others if float(age) <= ALIVE_FOR)
            found[user_id] = count, self._new_commands(user_id, noted, totals)
        self._totals = totals
        return found

    def _new_commands(
        self, user_id: str, noted: Sequence[Any], totals: dict[tuple[str, bytes], int]
    ) -> int:
        """Return how many commands others noted since the last call, and note their totals."""
        new = 0
        for process_id, total, last, age in noted:
            before = self._totals.get((user_id, process_id))
            totals[user_id, process_id] = int(total)
            if before is not None and before <= int(total):
                new += int(total) - before
            elif float(age) <= RECENT:
                new += int(last)
        return new

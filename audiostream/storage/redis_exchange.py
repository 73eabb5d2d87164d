"""What users have in other processes: open streams, and REST commands of the last second."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
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


KEPT_FOR: Final = 2.0
"""Seconds after which it is forgotten which commands of a user were returned: the burst of a token
bucket, which is full again after that."""


class RedisExchange:
    """Remembers how many commands of which process it has returned. ``clock``: monotonic."""

    def __init__(
        self, connection: RedisConnection, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._connection = connection
        self._clock = clock
        self._totals: dict[str, tuple[float, dict[bytes, int]]] = {}
        """By user, the one asked about longest ago first: when that was, and by process."""

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
        self._forget()
        found = {}
        for user_id, (others, noted) in zip(user_ids, answers, strict=True):
            count = sum(int(count) for _, count, _, age in others if float(age) <= ALIVE_FOR)
            found[user_id] = count, self._new_commands(user_id, noted)
        return found

    def _forget(self) -> None:
        while self._totals:
            user_id, (asked_at, _) = next(iter(self._totals.items()))
            if self._clock() - asked_at <= KEPT_FOR:
                break
            del self._totals[user_id]

    def _new_commands(self, user_id: str, noted: Sequence[Any]) -> int:
        """Return how many commands others noted since the last call, and note their totals."""
        _, known = self._totals.pop(user_id, (0.0, {}))
        totals = {process_id: int(total) for process_id, total, _, _ in noted}
        if totals:
            self._totals[user_id] = self._clock(), totals
        new = 0
        for process_id, total, last, age in noted:
            before = known.get(process_id)
            if before is not None and before <= int(total):
                new += int(total) - before
            elif float(age) <= RECENT:
                new += int(last)
        return new

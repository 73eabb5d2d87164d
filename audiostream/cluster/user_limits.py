"""``UserLimits``: has the limits of streams and REST commands hold for all processes together.

Every half second a process notes in the store what has changed of its users, and learns what they
have elsewhere; so what one process allows, each other one knows within a second::

    a stream begins or ends, a REST command   noted at the next half second
    streams that go on                        noted again every 5 s
    a stream of a user not asked about        waits for an answer, 0.5 s at most
      within the last 0.4 s

While the store does not answer, the limits hold for each process by itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Hashable
from contextlib import suppress
from typing import Final

from ..errors import Unavailable
from ..settings import Limits
from .command_counts import SharedTokenBuckets
from .store_health import StoreHealth
from .stream_counts import SharedStreamCounts

EXCHANGED_EVERY: Final = 0.5
"""Seconds between two exchanges: what one process notes, another reads within twice that."""
ANSWER_WITHIN: Final = 0.5
"""Seconds that a stream waits for what its user has elsewhere: longer is heard as a gap."""

_log = logging.getLogger(__name__)


class UserLimits:
    """What the users of one process have here and elsewhere.

    ``on_excess(user_id, count)`` is called where ``count`` streams are too many, and are to end.
    ``clock`` returns monotonic seconds.
    """

    def __init__(
        self, health: StoreHealth, process_id: str, limits: Limits, clock: Callable[[], float]
    ) -> None:
        self.streams = SharedStreamCounts(limits.streams_per_user, clock)
        self.commands = SharedTokenBuckets(limits.commands_per_second)
        self.on_excess: Callable[[Hashable, int], None] = lambda owner, count: None
        self._health = health
        self._process_id = process_id
        self._clock = clock
        self._users: set[str] = set()
        """Those that the next exchange is about."""
        self._done = asyncio.Event()
        """Set once it is over; another one for the one behind it."""
        self._is_wanted = asyncio.Event()

    async def learn(self, user_id: str) -> None:
        """Ask how many streams a user has elsewhere: ``streams.has_room`` knows it then."""
        if not self._health.is_degraded:
            done = self._done
            self._want({user_id})
            with suppress(TimeoutError):
                async with asyncio.timeout(ANSWER_WITHIN):
                    await done.wait()
        if self.streams.has_room(user_id) is None:
            self.streams.assume_none_elsewhere(user_id)

    async def note_changes(self) -> None:
        """Have all that has changed noted soon. Call every EXCHANGED_EVERY."""
        self._want(self.streams.changed() | self.commands.users)

    async def run(self) -> None:
        """Exchange what is asked for, until cancelled."""
        while True:
            await self._is_wanted.wait()
            self._is_wanted.clear()
            users, done = self._users, self._done
            self._users, self._done = set(), asyncio.Event()
            try:
                await self._exchange(users)
            except Unavailable:
                pass
            except Exception:
                _log.exception("the limits of users hold for this process alone; it tries again")
            finally:
                done.set()

    async def leave(self) -> None:
        """Note that no user has streams here any more. Raises ``Unavailable``."""
        if users := self.streams.noted:
            store = self._health.store
            leaving = store.exchange(self._process_id, dict.fromkeys(users, 0), {})
            await self._health.ask(leaving, writes=True)

    def _want(self, users: set[str]) -> None:
        self._users |= users
        if self._users:
            self._is_wanted.set()

    async def _exchange(self, users: set[str]) -> None:
        """Note what some users have here, and adopt what they have elsewhere."""
        streams = {user: self.streams.here.get(user, 0) for user in users}
        commands = self.commands.take_new(users)
        store = self._health.store
        exchange = store.exchange(self._process_id, streams, commands)
        found = await self._health.ask(exchange, writes=True)
        now = self._clock()
        for user_id, (elsewhere, sent) in found.items():
            excess = self.streams.adopt(user_id, streams[user_id], elsewhere)
            if excess:
                self.on_excess(user_id, excess)
            if sent:
                self.commands.take_tokens(user_id, sent, now)

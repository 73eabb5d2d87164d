"""``ClusterProcess``: one of several processes that serve the same users, and its periodic tasks.

::

    every 0.5 s streams and REST commands of users are exchanged; devices that are too many end;
                revocations are read
    every 5 s   the process renews itself, and sets its clock by the store's; devices of dead
                processes are removed; versions are compared, as publications may be lost; unused
                rooms are released
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

from ..errors import Unavailable
from ..rooms.device import Device
from ..rooms.device_limit import excess_devices
from ..rooms.process_context import ProcessContext
from ..rooms.shared_registry import SharedRegistry
from ..rooms.transactional_room import TransactionalRoom
from ..settings import Limits
from ..storage.shared_store import SharedStore
from .access import SharedRooms
from .later import LaterTasks
from .processes import RENEWED_EVERY, Processes
from .shared_clock import SharedClock
from .store_health import StoreHealth
from .user_limits import EXCHANGED_EVERY, UserLimits

REVOCATIONS_EVERY: Final = 0.5
"""Seconds between two readings of revocations: each holds in every process within twice that."""
COMPARED_EVERY: Final = 5.0
"""Seconds between two comparisons of versions: how long a lost publication stays unnoticed."""
COMPARED_AT_ONCE: Final = 500
"""Users whose versions are compared in one round trip."""
IDLE_AFTER: Final = 60.0
"""Seconds that a room without devices is kept up to date: a reloaded page finds it there."""
DRAIN_TIMEOUT: Final = 3.0
"""Seconds in which a process that ends stores what its devices have left."""

_log = logging.getLogger(__name__)
OnRevoked = Callable[[Mapping[str, float]], None]
OnExcess = Callable[[Collection[Device]], None]


def _new_id() -> str:
    return secrets.token_hex(8)


class ClusterProcess:
    """One process. ``registry`` and ``rooms`` are its rooms.

    ``make_registry`` returns the registry for a ``ProcessContext``, a prefix of device keys and a
    clock; ``clock`` returns monotonic seconds, ``wall_clock`` epoch seconds. ``new_id`` returns
    unique hexadecimal numbers.
    """

    def __init__(
        self,
        store: SharedStore,
        make_registry: Callable[[ProcessContext, int, Callable[[], float]], SharedRegistry],
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        limits: Limits,
        new_id: Callable[[], str] = _new_id,
    ) -> None:
        self.process_id = new_id()
        self.health = StoreHealth(store, clock)
        self.clock = SharedClock(clock, wall_clock)
        self.processes = Processes(self.process_id)
        self._store = store
        self._later = LaterTasks()
        context = ProcessContext(
            process_id=self.process_id,
            new_change_id=new_id,
            perform_later=self._perform_later,
            announce=self._announce,
            is_silent=self.processes.is_silent,
            lost_since=self.processes.lost_since,
        )
        self.registry = make_registry(context, int(self.process_id, 16), self.clock)
        self.rooms = SharedRooms(self.registry, self.health, self._later, self._renew_in_store)
        self.user_limits = UserLimits(self.health, self.process_id, limits, clock)
        self._sockets_per_user = limits.sockets_per_user
        self._idle: dict[str, float] = {}
        """Users whose rooms have no devices here, and since when."""

    @property
    def is_degraded(self) -> bool:
        """Whether changes cannot be stored now."""
        return self.health.is_degraded

    async def review(self, exists: Callable[[str, str], bool], now: float) -> None:
        """Do nothing: stop points of tracks that left the library stay, up to their number."""

    @asynccontextmanager
    async def running(
        self, on_revoked: OnRevoked, on_excess: OnExcess = lambda devices: None
    ) -> AsyncIterator[None]:
        """Take part in the cluster within the context. Raises ``StoreError`` at its begin.

        ``on_revoked`` is called with when users were revoked, before the first request too;
        ``on_excess`` with devices of this process that are more than their users may have.
        """
        await self._store.open()
        tasks: list[asyncio.Task[None]] = []
        try:
            self.rooms.subscribe()
            await self._renew()
            await self._read_revocations(on_revoked)
            tasks += [asyncio.create_task(each) for each in self._work(on_revoked, on_excess)]
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._leave()

    def _work(
        self, on_revoked: OnRevoked, on_excess: OnExcess
    ) -> tuple[Coroutine[Any, Any, None], ...]:
        """Return what runs as long as the process does."""
        return (
            self.rooms.run(self._refresh_all),
            self.user_limits.run(),
            _every(EXCHANGED_EVERY, self.user_limits.note_changes),
            _every(EXCHANGED_EVERY, partial(self._find_excess, on_excess)),
            _every(REVOCATIONS_EVERY, partial(self._read_revocations, on_revoked)),
            _every(RENEWED_EVERY, self._renew),
            _every(COMPARED_EVERY, self._compare),
        )

    # What rooms leave for later.

    def _perform_later(
        self, room: TransactionalRoom, name: str, action: Callable[[], object]
    ) -> None:
        work = partial(self.rooms.perform, room.user_id, lambda _: action())
        self._later.run(room.user_id, name, work)

    def _announce(self, room: TransactionalRoom) -> None:
        self._later.run(room.user_id, "announce", partial(self.rooms.announce, room))

    # Periodic tasks.

    async def _read_revocations(self, on_revoked: OnRevoked) -> None:
        revoked = await self.health.ask(self._store.revoked())
        if revoked is not None:
            on_revoked(revoked)
        if self.is_degraded:  # it answers again: may it be written to?
            await self._renew()

    async def _find_excess(self, on_excess: OnExcess) -> None:
        now, limit = self.clock(), self._sockets_per_user
        rooms = [room for room in self.rooms.live.values() if len(room.devices) > limit]
        excess = [device for room in rooms for device in excess_devices(room, limit, now)]
        if excess:
            on_excess(excess)

    async def _renew(self) -> None:
        """Renew this process, set the clock by the store's, and remove devices of dead processes.

        The store's clock is another one after a failover: processes would differ in positions.
        """
        await self.health.ask(self.clock.adjust(self._renew_in_store), writes=True)
        for room in tuple(self.rooms.live.values()):
            room.remove_lost_devices()

    async def _renew_in_store(self) -> float:
        """Return the store's clock."""
        times = await self._store.renew(self.process_id)
        self.processes.update(times)
        return times.now

    async def _compare(self) -> None:
        self._release_idle()
        users = tuple(self.rooms.live)
        for first in range(0, len(users), COMPARED_AT_ONCE):
            part = users[first : first + COMPARED_AT_ONCE]
            stored = await self.health.ask(self._store.versions(part))
            for user_id, last_change in zip(part, stored, strict=True):
                room = self.rooms.live.get(user_id)
                if room is not None and not room.is_busy and room.last_change != last_change:
                    self.rooms.refresh_later(user_id)

    def _refresh_all(self) -> None:
        for user_id in self.rooms.live:
            self.rooms.refresh_later(user_id)

    def _release_idle(self) -> None:
        now = self.clock()
        self.registry.maybe_idle.clear()
        used = self._later.user_ids  # what waits for the store acts in the room that it knows
        idle = {user for user, room in self.rooms.live.items() if not room.local_devices} - used
        self._idle = {user: self._idle.get(user, now) for user in idle}
        for user_id, since in self._idle.items():
            if now - since > IDLE_AFTER:
                self._later.run(user_id, "release", partial(self.rooms.release, user_id))

    async def _leave(self) -> None:
        await self._later.drain(DRAIN_TIMEOUT)
        try:
            await asyncio.gather(self.user_limits.leave(), self._store.leave(self.process_id))
        except Unavailable as error:
            _log.warning("the end of this process could not be stored (%s)", error)
        await self._store.close()


async def _every(seconds: float, work: Callable[[], Awaitable[None]]) -> None:
    """Do ``work`` again and again; what the store did not answer is tried at the next time."""
    while True:
        await asyncio.sleep(seconds)
        try:
            await work()
        except Unavailable:
            pass
        except Exception:
            _log.exception("a task of this process failed; it is tried again")

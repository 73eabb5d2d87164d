"""``SharedRooms``: finds rooms, and does actions in them by way of the shared store.

What ``storage.loader.RoomLoader`` is for a state file. One action at a time runs in a room, and
what comes meanwhile waits in order::

    perform ─► the room's turn ─► load, unless live ─► attempt ─► commit ─► confirm
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Final, TypeVar

from ..errors import Unavailable
from ..playback.model import StopPoint
from ..rooms import adoption
from ..rooms.room_waits import RoomWaits
from ..rooms.shared_registry import SharedRegistry
from ..rooms.shared_room import SharedRoom
from ..rooms.stop_points import StopPointNotLoaded
from ..rooms.transactional_room import TransactionalRoom
from ..storage.play_history import HistoryEntry
from ..storage.shared_store import (
    ANSWER_TIMEOUT,
    Change,
    Publication,
    StoredRoom,
    Subscription,
)
from .later import LaterTasks
from .store_health import StoreHealth
from .turns import Turns

MAX_LOSSES: Final = 8
"""Times in a row that another process may be first until an action is given up."""
RETRY_PAUSE: Final = 0.1
"""Seconds until a store that did not answer is sent a change again."""
READ_AT_ONCE: Final = 32
"""Rooms that are read anew at the same time, after a lost connection."""

T = TypeVar("T")


class SharedRooms:
    """The rooms of one process, in ``registry``. ``live`` are those that are kept up to date.

    ``later`` does what nobody waits for. ``renew`` writes to the store, and tells so whether it
    can be written to.
    """

    def __init__(
        self,
        registry: SharedRegistry,
        health: StoreHealth,
        later: LaterTasks,
        renew: Callable[[], Awaitable[object]],
    ) -> None:
        self.live: dict[str, SharedRoom] = {}
        self._registry = registry
        self._later = later
        self._renew = renew
        self._health = health
        self._store = health.store
        self._subscription: Subscription
        self._turns = Turns()
        self._reading = asyncio.Semaphore(READ_AT_ONCE)
        self._waiting: dict[str, list[Publication]] = {}
        """Publications for the ends of turns."""
        self._being_read: set[str] = set()
        """Users whose rooms are read anew: what the store returns may be older than publications
        that come meanwhile."""

    # For REST and devices.

    async def room(self, user_id: str) -> SharedRoom:
        """Return a user's room for a device, which is kept up to date as long as it has devices.

        It is no older than what another process has sent the device, unless the store is away.
        Raises ``Unavailable``.
        """
        room = self._registry.room(user_id)
        if not room.is_live:
            async with self._turn(user_id) as room:
                if not room.is_live:
                    await self._bring_to_life(room)
                    if not room.devices:
                        await self._decide(room, room.advance)
        elif not self._health.is_degraded:
            await self._catch_up(room)
            if not room.is_live:  # it was released meanwhile
                return await self.room(user_id)
        return room

    async def perform(
        self, user_id: str, action: Callable[[SharedRoom], T], waited: float = 0.0
    ) -> T:
        """Do an action in a user's room and return what it returns.

        It may run several times, of which one takes effect. While the store is away, a live room
        still does what needs no store, and the seconds count that an action has ``waited`` before.
        Raises what the action raises, and ``Unavailable``.
        """
        known = self.live.get(user_id)
        if known is not None and self._health.is_degraded:
            with suppress(RoomWaits):
                return known.act(partial(action, known))
        async with self._turn(user_id, waited=waited if self._health.is_degraded else 0.0) as room:
            if not room.is_live:
                await self._load(room)
            return await self._decide(room, partial(action, room))

    async def history(
        self, user_id: str, is_listed: Callable[[str], bool], limit: int
    ) -> list[HistoryEntry]:
        """Return up to ``limit`` tracks that a user played, the last one first.

        Left out are those for which ``is_listed(track_id)`` is false. Raises ``Unavailable``.
        """
        return await self._health.ask(self._store.history(user_id, is_listed, limit))

    async def stop_points(self, user_id: str, track_id: str) -> list[StopPoint]:
        """Return a user's stop points in a track, the newest first. Raises ``Unavailable``."""
        return await self._health.ask(self._store.stop_points(user_id, track_id))

    # For what is received from the store and from other processes.

    def receive(self, publication: Publication) -> None:
        """Adopt a publication, or read the store where one before it was missed."""
        room = self.live.get(publication.user_id)
        if room is None:
            return
        if room.is_busy:
            self._waiting.setdefault(room.user_id, []).append(publication)
            return
        if room.user_id in self._being_read:
            rows = adoption.rows_alone(publication)
            self._waiting.setdefault(room.user_id, []).append(rows)
        if not adoption.receive(room, publication):
            self.refresh_later(room.user_id)

    def refresh_later(self, user_id: str) -> None:
        """Have a live room read anew soon, a limited number of them at the same time."""
        self._later.run(user_id, "refresh", partial(self._refresh_in_turn, user_id))

    async def _refresh_in_turn(self, user_id: str) -> None:
        async with self._reading:
            await self.refresh(user_id)

    async def announce(self, room: TransactionalRoom) -> None:
        """Store and publish what is new of a room's devices. Raises ``Unavailable``."""
        async with self._turn(room.user_id, makes_busy=False):
            changes = room.rows.take()
            if not changes:
                return
            try:
                process_id = room.process.process_id
                announcing = self._store.announce(room.user_id, process_id, changes)
                await self._health.ask(announcing, writes=True)
            except BaseException:
                room.rows.put_back(changes)
                raise

    async def release(self, user_id: str) -> None:
        """Keep a room up to date no longer, unless somebody uses it."""
        room = self.live.get(user_id)
        if room is None or room.local_devices or user_id in self._turns:
            return
        del self.live[user_id]
        room.is_live = False
        self._registry.remove_room(user_id)
        await self._subscription.remove(user_id)

    def subscribe(self) -> None:
        """Prepare to receive publications, once the store is open."""
        self._subscription = self._store.subscription()

    async def run(self, on_gap: Callable[[], None]) -> None:
        """Receive publications until cancelled; see ``Subscription.run``."""
        await self._subscription.run(self.receive, on_gap)

    # Turns.

    @asynccontextmanager
    async def _turn(
        self, user_id: str, *, makes_busy: bool = True, waited: float = 0.0
    ) -> AsyncIterator[SharedRoom]:
        """Have a room to oneself for ANSWER_TIMEOUT at most, with the time that one waits for it,
        and has ``waited`` before. Raises ``Unavailable`` after that.
        """
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT - waited), self._turns.take(user_id):
                if makes_busy:
                    await self._wait_for_store()
                room = self._registry.room(user_id)
                room.is_busy = makes_busy
                try:
                    yield room
                finally:
                    room.is_busy = False
                    self._end_turn(room)
        except TimeoutError:
            if user_id in self.live:
                self._later.run(user_id, "update", partial(self._bring_up_to_date, user_id))
            raise Unavailable("the playback cannot be changed now; try again") from None
        finally:
            self._drop_unused(user_id)

    async def _bring_up_to_date(self, user_id: str) -> None:
        """Send the state to a room's devices: some have done what could not be stored."""
        room = await self.refresh(user_id)
        if room is not None:
            room.send_state()

    async def refresh(self, user_id: str) -> SharedRoom | None:
        """Read a live room anew, and inform its devices of what is new; return it.

        Meanwhile it does what needs no store. Raises ``Unavailable``.
        """
        if user_id not in self.live:
            return None
        async with self._turn(user_id, makes_busy=False) as room:
            version = room.version
            self._being_read.add(user_id)
            try:
                stored = await self._health.ask(self._store.load(user_id))
            finally:
                self._being_read.discard(user_id)
            if stored.version >= room.version or version == room.version:
                room.is_busy = True
                await self._adopt(room, stored)
            return room

    async def _wait_for_store(self) -> None:
        """Return once the store answers: until then a room need not be kept from others."""
        while self._health.is_degraded:
            try:
                await self._health.ask(self._renew(), writes=True)
            except Unavailable:
                await asyncio.sleep(RETRY_PAUSE)

    def _end_turn(self, room: SharedRoom) -> None:
        for publication in self._waiting.pop(room.user_id, ()):
            self.receive(publication)

    def _drop_unused(self, user_id: str) -> None:
        """Forget a room that was loaded for one command over REST."""
        room = self._registry.rooms.get(user_id)
        if room is not None and user_id not in self._turns and user_id not in self.live:
            self._registry.remove_room(user_id)

    async def _catch_up(self, room: SharedRoom) -> None:
        """Adopt what is stored, if its publication is still on the way."""
        with suppress(Unavailable):
            [(version, _)] = await self._health.ask(self._store.versions([room.user_id]))
            if version > room.version:
                await self.refresh(room.user_id)

    async def _bring_to_life(self, room: SharedRoom) -> None:
        """Load a room, and keep it up to date from then on: no publication is missed meanwhile."""
        await self._health.ask(self._subscription.add(room.user_id))
        self.live[room.user_id] = room
        try:
            await self._load(room)
            room.is_live = True
        finally:
            if not room.is_live:
                del self.live[room.user_id]
                self._later.run(
                    room.user_id, "unsubscribe", partial(self._unsubscribe, room.user_id)
                )

    async def _unsubscribe(self, user_id: str) -> None:
        async with self._turn(user_id, makes_busy=False):
            if user_id not in self.live:
                await self._subscription.remove(user_id)

    async def _load(self, room: SharedRoom) -> None:
        stored = await self._health.ask(self._store.load(room.user_id))
        await self._adopt(room, stored)
        await self._decide(room, room.without_lost_devices())

    async def _adopt(self, room: SharedRoom, stored: StoredRoom) -> None:
        """Adopt what is stored. Where it is older than what is known, store that again.

        So where the store has lost changes, the process that knows most of them is followed.
        """
        if self._note_lost(room, stored):
            await self._decide(room, partial(adoption.store_again, room))
        else:
            adoption.adopt_stored(room, stored)

    def _note_lost(self, room: SharedRoom, stored: StoredRoom) -> bool:
        """Note and return whether the store has lost changes that a live room knows."""
        has_lost = room.is_live and adoption.has_lost(room, stored)
        if has_lost:
            adoption.replace_devices(room, stored.devices)
            room.note_lost(stored.version)
        return has_lost

    async def _decide(self, room: SharedRoom, action: Callable[[], T]) -> T:
        """Do an action and store its outcome. Raises ``Unavailable``, and what it raises."""
        for _ in range(MAX_LOSSES + 1):
            try:
                attempt = room.attempt(action)
            except StopPointNotLoaded as needed:
                position = await self._health.ask(
                    self._store.stop_point(room.user_id, needed.track_id)
                )
                room.stop_points.add_loaded(needed.track_id, position)
                attempt = room.attempt(action)
            if attempt.change is None:
                return room.settle(attempt)
            try:
                stored = await self._commit(attempt.change)
            except BaseException:
                room.roll_back(attempt)
                raise
            if stored is None:
                return room.confirm(attempt)
            room.roll_back(attempt)
            self._health.counters.commit_losses += 1
            if not self._note_lost(room, stored):  # else it is done again on what is known
                adoption.adopt_stored(room, stored)
        raise Unavailable("other devices change the playback all the time; try again")

    async def _commit(self, change: Change) -> StoredRoom | None:
        """Store a change, within the time of the turn; as ``SharedStore.commit``."""
        while True:
            try:
                return await self._health.ask(self._store.commit(change), writes=True)
            except Unavailable:
                await asyncio.sleep(RETRY_PAUSE)

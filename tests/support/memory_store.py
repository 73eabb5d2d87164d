"""A ``SharedStore`` in memory, for tests: several processes in one, on a network that delays."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from audiostream.errors import Unavailable
from audiostream.playback.history import PlayedTrack
from audiostream.playback.model import StopPoint
from audiostream.playback.queue import Queue
from audiostream.storage.play_history import TRACKS_KEPT, HistoryEntry
from audiostream.storage.shared_store import (
    Change,
    DeviceChanges,
    DeviceRow,
    ProcessTimes,
    Publication,
    StoredRoom,
)
from audiostream.storage.stop_points import POSITIONS_KEPT
from audiostream.storage.stop_points import TRACKS_KEPT as STOPPED_IN


@dataclass
class StoredUser:
    """Everything that is stored of a user."""

    room: StoredRoom = field(default_factory=StoredRoom)
    change_ids: set[str] = field(default_factory=set)
    rows: dict[int, DeviceRow] = field(default_factory=dict)
    stop_points: dict[str, list[StopPoint]] = field(default_factory=dict)
    played: dict[str, PlayedTrack] = field(default_factory=dict)
    counts: dict[str, tuple[int, int, float]] = field(default_factory=dict)
    """By process: open streams, commands in all, and when that was noted."""


class MemoryDatabase:
    """What all stores share. ``clock`` is the store's."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.users: dict[str, StoredUser] = defaultdict(StoredUser)
        self.renewed_at: dict[str, float] = {}
        self.revoked: dict[str, float] = {}
        self.changes: list[Change] = []
        """All that were stored, in order."""
        self.subscriptions: list[MemorySubscription] = []

    def publish(self, publication: Publication) -> None:
        for each in self.subscriptions:
            each.deliver(publication)


class MemoryStore:
    """One process's connection. ``delay`` returns the seconds of one way; ``is_cut``: no way."""

    def __init__(
        self,
        database: MemoryDatabase,
        delay: Callable[[], float] = lambda: 0.0,
        max_history: int = TRACKS_KEPT,
    ) -> None:
        self.database = database
        self.delay = delay
        self.is_cut = False
        self.operations: list[str] = []
        self._max_history = max_history
        self._revoked: dict[str, float] | None = None
        self._seen_commands: dict[tuple[str, str], int] = {}

    async def open(self) -> None:
        await self._travel("open")

    async def load(self, user_id: str) -> StoredRoom:
        await self._travel("load")
        answer = self._stored(user_id)
        await self._return()
        return answer

    async def commit(self, change: Change) -> StoredRoom | None:
        await self._travel("commit")
        answer = self._commit(change)
        await self._return()
        return answer

    async def announce(self, user_id: str, process_id: str, devices: DeviceChanges) -> None:
        await self._travel("announce")
        self._put_rows(user_id, devices)
        self.database.publish(
            Publication(user_id=user_id, process_id=process_id, change=None, devices=devices)
        )
        await self._return()

    async def versions(self, user_ids: Sequence[str]) -> list[tuple[int, str]]:
        await self._travel("versions")
        users = self.database.users
        rooms = [users[each].room if each in users else StoredRoom() for each in user_ids]
        answer = [(room.version, room.change_id) for room in rooms]
        await self._return()
        return answer

    async def stop_point(self, user_id: str, track_id: str) -> float | None:
        found = await self.stop_points(user_id, track_id)
        return found[0].position if found else None

    async def stop_points(self, user_id: str, track_id: str) -> list[StopPoint]:
        await self._travel("stop_points")
        answer = list(reversed(self.database.users[user_id].stop_points.get(track_id, ())))
        await self._return()
        return answer

    async def history(
        self, user_id: str, is_listed: Callable[[str], bool], limit: int
    ) -> list[HistoryEntry]:
        await self._travel("history")
        user = self.database.users[user_id]
        entries = []
        for played in reversed(user.played.values()):
            if is_listed(played.track_id):
                stops = user.stop_points.get(played.track_id)
                position = stops[-1].position if stops else None
                entries.append(HistoryEntry(played.track_id, played.at, position))
        await self._return()
        return entries[: min(limit, self._max_history)]

    async def renew(self, process_id: str) -> ProcessTimes:
        await self._travel("renew")
        now = self.database.clock()
        self.database.renewed_at[process_id] = now
        times = ProcessTimes(now=now, renewed_at=dict(self.database.renewed_at))
        await self._return()
        return times

    async def leave(self, process_id: str) -> None:
        await self._travel("leave")
        self.database.renewed_at.pop(process_id, None)

    async def revoked(self) -> dict[str, float] | None:
        await self._travel("revoked")
        revoked = dict(self.database.revoked)
        await self._return()
        is_known, self._revoked = revoked == self._revoked, revoked
        return None if is_known else revoked

    async def revoke(self, user_id: str, at: float) -> None:
        await self._travel("revoke")
        known = self.database.revoked.get(user_id)
        self.database.revoked[user_id] = at if known is None else max(at, known + 0.001)

    async def exchange(
        self, process_id: str, streams: Mapping[str, int], commands: Mapping[str, int]
    ) -> Mapping[str, tuple[int, int]]:
        await self._travel("exchange")
        now, answer = self.database.clock(), {}
        for user_id in streams.keys() | commands.keys():
            counts = self.database.users[user_id].counts
            _, total, _ = counts.get(process_id, (0, 0, 0.0))
            counts[process_id] = (
                streams.get(user_id, 0),
                total + commands.get(user_id, 0),
                now,
            )
            others = [each for key, each in counts.items() if key != process_id]
            used = sum(each[1] for each in others)
            seen = self._seen_commands.get((process_id, user_id), 0)
            self._seen_commands[process_id, user_id] = used
            answer[user_id] = sum(each[0] for each in others if now - each[2] < 15), used - seen
        await self._return()
        return answer

    def subscription(self) -> MemorySubscription:
        return MemorySubscription(self)

    async def close(self) -> None:
        self.is_cut = True

    async def _travel(self, operation: str) -> None:
        self.operations.append(operation)
        await asyncio.sleep(self.delay())
        if self.is_cut:
            raise Unavailable("the store cannot be reached")

    async def _return(self) -> None:
        await asyncio.sleep(self.delay())
        if self.is_cut:
            raise Unavailable("the store cannot be reached")

    def _stored(self, user_id: str) -> StoredRoom:
        user = self.database.users[user_id]
        return replace(user.room, devices=tuple(user.rows.values()))

    def _commit(self, change: Change) -> StoredRoom | None:
        user = self.database.users[change.user_id]
        if change.change_id in user.change_ids:
            return None
        if user.room.version != change.expected_version:
            return self._stored(change.user_id)
        state, queue = change.state, change.state.queue
        if not change.writes_queue:
            kept = replace(queue, track_ids=user.room.state.queue.track_ids)
            stored, published = replace(state, queue=kept), _without_tracks(state.queue)
            change = replace(change, state=replace(state, queue=published))
        else:
            stored = state
        user.room = StoredRoom(
            version=change.version,
            change_id=change.change_id,
            state=stored,
            applied_ids=change.applied_ids,
        )
        user.change_ids.add(change.change_id)
        for each in change.stop_points:
            _add_stop_point(user.stop_points, each)
        for track_id in list(user.stop_points)[: max(0, len(user.stop_points) - STOPPED_IN)]:
            del user.stop_points[track_id]
        for played in change.played:
            user.played.pop(played.track_id, None)
            user.played[played.track_id] = played
        for track_id in list(user.played)[: max(0, len(user.played) - self._max_history)]:
            del user.played[track_id]
        self._put_rows(change.user_id, change.devices)
        self.database.changes.append(change)
        self.database.publish(
            Publication(
                user_id=change.user_id,
                process_id=change.process_id,
                change=replace(change, stop_points=(), played=()),
                devices=change.devices,
            )
        )
        return None

    def _put_rows(self, user_id: str, devices: DeviceChanges) -> None:
        rows = self.database.users[user_id].rows
        for row in devices.rows:
            rows[row.ref.key] = row
        for key in devices.removed:
            rows.pop(key, None)


class MemorySubscription:
    """The publications of some users, in order, each later by the store's delay."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self.users: set[str] = set()
        self._queue: asyncio.Queue[Publication] = asyncio.Queue()

    def deliver(self, publication: Publication) -> None:
        if publication.user_id in self.users and not self._store.is_cut:
            self._queue.put_nowait(publication)

    async def add(self, user_id: str) -> None:
        await self._store._travel("subscribe")
        self.users.add(user_id)

    async def remove(self, user_id: str) -> None:
        self.users.discard(user_id)

    async def run(
        self, on_publication: Callable[[Publication], None], on_gap: Callable[[], None]
    ) -> None:
        subscriptions = self._store.database.subscriptions
        subscriptions.append(self)
        try:
            was_cut = False
            while True:
                publication: Any = None
                try:
                    async with asyncio.timeout(0.5):
                        publication = await self._queue.get()
                except TimeoutError:
                    pass
                if self._store.is_cut:
                    was_cut = True
                    continue
                if was_cut:
                    was_cut = False
                    on_gap()
                if publication is not None:
                    await asyncio.sleep(self._store.delay())
                    on_publication(publication)
        finally:
            subscriptions.remove(self)


def _add_stop_point(kept: dict[str, list[StopPoint]], stop_point: StopPoint) -> None:
    points = kept[stop_point.track_id] = kept.pop(stop_point.track_id, [])
    if points and points[-1].at >= stop_point.at:
        stop_point = replace(stop_point, at=points[-1].at + 0.001)
    points.append(stop_point)
    del points[:-POSITIONS_KEPT]


def _without_tracks(queue: Queue) -> Queue:
    return replace(queue, track_ids=())

"""``RedisStore``: the playback of all users in Redis, Valkey or a Redis Cluster.

The package ``redis`` is an extra: it is imported when a store is opened.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from ..errors import StoreError
from ..playback.model import StopPoint
from . import redis_scripts as scripts
from .play_history import TRACKS_DROPPED_AT_ONCE, TRACKS_KEPT, HistoryEntry
from .redis_answers import (
    read_history,
    read_revoked,
    read_room,
    read_stop_points,
    to_bytes,
    to_text,
)
from .redis_encoding import encode_row, encode_state, encode_texts
from .redis_keys import PROCESSES, REVOKED, REVOKED_VERSION, encode_user, user_key
from .redis_publications import encode_publication
from .redis_requests import call, command
from .shared_store import (
    Change,
    DeviceChanges,
    ProcessTimes,
    Publication,
    StoredRoom,
    Subscription,
)
from .stop_points import POSITIONS_KEPT
from .stop_points import TRACKS_KEPT as STOPPED_TRACKS_KEPT
from .throttled_warning import ThrottledWarning

if TYPE_CHECKING:
    from .redis_connection import RedisConnection
    from .redis_exchange import RedisExchange

CHANGES_KEPT: Final = 32
"""Change ids of a user that are kept: one that is sent again within so many changes is noticed."""
FORGOTTEN_AFTER: Final = 86_400
"""Seconds after which a process that was not renewed is forgotten."""
PAGE: Final = range(100, 1001)
"""Entries of a history that are read in one round trip, at least and at most."""


class RedisStore:
    """See ``shared_store.SharedStore``. Call ``open`` first.

    ``max_history`` is the number of tracks kept of each user's history; 0 keeps none.
    """

    def __init__(self, url: str, max_history: int = TRACKS_KEPT) -> None:
        self._url = url
        self._max_history = max_history
        self._warn = ThrottledWarning(time.monotonic)
        self._revoked: dict[str, float] = {}
        self._revoked_version = ""
        self._connection: RedisConnection
        self._exchange: RedisExchange

    async def open(self) -> None:
        """Connect, and check that Redis can keep playback. Raises ``StoreError``."""
        with _needing_package():
            from . import redis_checks, redis_exchange
        self._connection = await redis_checks.connect(self._url)
        self._exchange = redis_exchange.RedisExchange(self._connection)

    async def load(self, user_id: str) -> StoredRoom:
        keys = [user_key(user_id, "room"), user_key(user_id, "devices")]
        return self._read_room(user_id, await self._connection.ask(call(scripts.LOAD, keys)))

    async def commit(self, change: Change) -> StoredRoom | None:
        """Store a change; see ``SharedStore``. Raises ``ValueError`` for NaN and Infinity."""
        names = ("room", "devices", "changes", "stops", "stopped", "played", "played_at")
        keys = [user_key(change.user_id, name) for name in names]
        request = call(scripts.COMMIT, keys, *self._commit_arguments(change))
        answer = await self._connection.ask(request)
        return None if answer == 1 else self._read_room(change.user_id, answer)

    async def announce(self, user_id: str, process_id: str, devices: DeviceChanges) -> None:
        publication = Publication(
            user_id=user_id, process_id=process_id, change=None, devices=devices
        )
        await self._connection.ask(
            call(
                scripts.ANNOUNCE,
                [user_key(user_id, "devices")],
                *(user_key(user_id, "events"), encode_publication(publication)),
                *_device_arguments(devices),
            )
        )

    async def versions(self, user_ids: Sequence[str]) -> list[tuple[int, str]]:
        keys = [user_key(user_id, "room") for user_id in user_ids]
        fields = "version", "change_id"
        answers = await self._connection.ask_all([command(k, "HMGET", k, *fields) for k in keys])
        return [(int(version or 0), (change or b"").decode()) for version, change in answers]

    async def stop_point(self, user_id: str, track_id: str) -> float | None:
        points = await self.stop_points(user_id, track_id)
        return points[0].position if points else None

    async def stop_points(self, user_id: str, track_id: str) -> list[StopPoint]:
        key = user_key(user_id, "stops")
        lines = await self._connection.ask(command(key, "HGET", key, to_bytes(track_id)))
        return read_stop_points(track_id, lines, self._warn)

    async def history(
        self, user_id: str, is_listed: Callable[[str], bool], limit: int
    ) -> list[HistoryEntry]:
        limit = min(limit, self._max_history)
        keys = [user_key(user_id, name) for name in ("played", "played_at", "stops")]
        size, first = min(max(PAGE[0], limit), PAGE[-1]), b"+inf"
        found: list[HistoryEntry] = []
        while len(found) < limit:
            page = await self._connection.ask(call(scripts.HISTORY, keys, first, size))
            entries = read_history(page, self._warn)
            found += [entry for entry in entries if is_listed(entry.track_id)]
            if len(page) < size:
                break
            first = b"(" + page[-1][1]
        return found[:limit]

    async def renew(self, process_id: str) -> ProcessTimes:
        seconds, microseconds, members = await self._connection.ask(
            call(scripts.RENEW, [PROCESSES], process_id, FORGOTTEN_AFTER)
        )
        renewed = dict(zip(map(to_text, members[::2]), map(float, members[1::2]), strict=True))
        return ProcessTimes(now=int(seconds) + int(microseconds) / 1e6, renewed_at=renewed)

    async def leave(self, process_id: str) -> None:
        await self._connection.ask(command(PROCESSES, "ZREM", PROCESSES, process_id))

    async def revoked(self) -> dict[str, float] | None:
        """Return when each user was last revoked; see ``SharedStore``.

        A revocation that this process has seen and Redis has lost is written again: no credential
        that was void becomes good.
        """
        keys = [REVOKED, REVOKED_VERSION]
        answer = await self._connection.ask(call(scripts.REVOKED, keys, self._revoked_version))
        version = answer[0].decode()
        if len(answer) == 1:
            return None
        stored = read_revoked(answer[1], self._warn)
        lost = {user: at for user, at in self._revoked.items() if stored.get(user, 0.0) < at}
        if lost:
            items = _flat((encode_user(user), at) for user, at in lost.items())
            await self._connection.ask(call(scripts.REVOKE, keys, "kept", *items))
        self._revoked, self._revoked_version = stored | lost, version
        return dict(self._revoked)

    async def revoke(self, user_id: str, at: float) -> None:
        keys = [REVOKED, REVOKED_VERSION]
        await self._connection.ask(call(scripts.REVOKE, keys, "later", encode_user(user_id), at))

    async def exchange(
        self, process_id: str, streams: Mapping[str, int], commands: Mapping[str, int]
    ) -> Mapping[str, tuple[int, int]]:
        return await self._exchange.exchange(process_id, streams, commands)

    def subscription(self) -> Subscription:
        """Return a subscription without users, also before ``open``. Raises ``StoreError``."""
        with _needing_package():
            from .redis_subscription import RedisSubscription
        return RedisSubscription(lambda: self._connection)

    async def close(self) -> None:
        """Close all connections; those of subscriptions end with their ``run``."""
        if hasattr(self, "_connection"):
            await self._connection.close()

    def _read_room(self, user_id: str, answer: Sequence[Any]) -> StoredRoom:
        try:
            return read_room(answer, self._warn)
        except ValueError as error:
            # Nothing is overwritten: a later version may be able to read it.
            self._warn(f"{user_key(user_id, 'room')} in Redis cannot be read: {error}")
            raise StoreError("what is stored of this user cannot be read") from None

    def _commit_arguments(self, change: Change) -> Iterator[Any]:
        """Return the arguments of ``scripts.COMMIT`` in their order."""
        yield from (change.expected_version, change.version, change.change_id)
        yield from (encode_state(change.state), encode_texts(change.applied_ids))
        queue = encode_texts(change.state.queue.track_ids) if change.writes_queue else ""
        yield from (int(change.writes_queue), queue, user_key(change.user_id, "events"))
        yield encode_publication(
            Publication(
                user_id=change.user_id,
                process_id=change.process_id,
                change=change,
                devices=change.devices,
            )
        )
        yield from (CHANGES_KEPT, POSITIONS_KEPT, STOPPED_TRACKS_KEPT)
        yield from (self._max_history, TRACKS_DROPPED_AT_ONCE)
        yield from _device_arguments(change.devices)
        yield len(change.stop_points)
        for stop_point in change.stop_points:
            yield from (to_bytes(stop_point.track_id), stop_point.position, stop_point.at)
        played = change.played if self._max_history else ()
        yield len(played)
        for each in played:
            yield from (to_bytes(each.track_id), each.at)


@contextmanager
def _needing_package() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        if error.name is None or error.name.partition(".")[0] != "redis":
            raise
        raise StoreError(
            "AUDIOSTREAM_REDIS needs the Python package redis. "
            "Install it with: pip install 'audiostream[redis]'"
        ) from None


def _device_arguments(devices: DeviceChanges) -> Iterator[Any]:
    yield len(devices.removed)
    yield from devices.removed
    yield len(devices.rows)
    for row in devices.rows:
        yield from (row.ref.key, encode_row(row))


def _flat(pairs: Iterable[tuple[str, float]]) -> list[Any]:
    return [item for pair in pairs for item in pair]

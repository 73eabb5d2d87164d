"""What the handlers of one application share, under one typed key: ``request.app[SERVICES]``.

Built by ``create_app``. Several applications may run in one process, each with services of its own.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Hashable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from aiohttp import web

from .auth.access_tokens import Tokens
from .auth.cookies import SessionCookie
from .library.library import Library
from .ops.counters import Counters
from .ops.proxies import Proxies
from .playback.model import StopPoint
from .rate_limit import TokenBuckets
from .rooms.library_subscriptions import LibrarySubscriptions
from .rooms.registry import Registry
from .rooms.room import Room
from .settings import Settings
from .storage.play_history import HistoryEntry

if TYPE_CHECKING:
    from .api.response_bodies import SharedBodies
    from .api.track_descriptions import TrackDescriptions
    from .cluster.process import ClusterProcess
    from .streaming.stream_slots import StreamSlots
    from .websocket.gateway import Session
    from .websocket.heartbeat import HeartbeatMonitor
    from .websocket.send_queue import WriteBatcher

T = TypeVar("T")


class Loader(Protocol):
    """Finds rooms and what is stored: in the state file, or in a store of several processes."""

    async def room(self, user_id: str) -> Room:
        """Return the room of a user for a device. Raises ``StoreError``."""

    async def perform(self, user_id: str, action: Callable[[Any], T], waited: float = 0.0) -> T:
        """Do an action in a user's room, and return what it returns.

        Where the room has to wait for the store, it runs again; it takes effect once. ``waited``:
        seconds that it has waited before. Raises what it raises, and ``StoreError``.
        """

    async def history(
        self, user_id: str, is_listed: Callable[[str], bool], limit: int
    ) -> list[HistoryEntry]:
        """Return the tracks that a user played, the last one first. Raises ``StoreError``."""

    async def stop_points(self, user_id: str, track_id: str) -> list[StopPoint]:
        """Return a user's stop points in a track, the newest first. Raises ``StoreError``."""


class Saver(Protocol):
    """What keeps the rooms' state. ``is_degraded``: what changes cannot be stored now."""

    @property
    def is_degraded(self) -> bool: ...

    async def review(self, exists: Callable[[str, str], bool], now: float) -> None:
        """Drop stop points of tracks that left the library; see ``StateSaver.review``."""


@dataclass(slots=True)
class Storage:
    """What reads and writes stored state, which is opened when the application starts.

    ``cluster``: this process's part in a cluster; None where it has the users for itself.
    """

    cluster: ClusterProcess | None = None
    loader: Loader = field(init=False)
    saver: Saver = field(init=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The services of one application, of which ``version`` is the release.

    ``clock`` returns monotonic seconds, for positions and timeouts; ``wall_clock`` returns epoch
    seconds, for what is shown and compared with tokens, tickets, cookies and HTTP dates.
    ``command_limits`` counts each user's REST commands. ``rescan`` is set to have the media folder
    scanned. ``file_executor`` runs what may wait for the disk. ``open_streams`` counts by user or
    address, ``unauthenticated`` counts WebSockets by address.
    """

    version: str
    settings: Settings
    clock: Callable[[], float]
    wall_clock: Callable[[], float]
    tokens: Tokens
    session_cookie: SessionCookie
    proxies: Proxies
    library: Library
    library_subscriptions: LibrarySubscriptions
    descriptions: TrackDescriptions
    registry: Registry
    storage: Storage
    counters: Counters
    command_limits: TokenBuckets
    shared_bodies: SharedBodies
    rescan: asyncio.Event
    file_executor: Executor
    stream_slots: StreamSlots
    open_streams: Counter[Hashable]
    sessions: set[Session]
    unauthenticated: Counter[str]
    write_batcher: WriteBatcher
    heartbeat_monitor: HeartbeatMonitor


SERVICES = web.AppKey("audiostream_services", Services)

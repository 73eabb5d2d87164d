"""What the handlers of one application share, under one typed key: ``request.app[SERVICES]``.

Built by ``create_app``. Several applications may run in one process, each with services of its own.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Hashable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiohttp import web

from .auth.access_tokens import Tokens
from .auth.cookies import SessionCookie
from .library.library import Library
from .ops.counters import Counters
from .ops.proxies import Proxies
from .rate_limit import TokenBuckets
from .rooms.library_subscriptions import LibrarySubscriptions
from .rooms.registry import Registry
from .settings import Settings
from .storage.loader import RoomLoader
from .storage.saver import StateSaver

if TYPE_CHECKING:
    from .api.response_bodies import SharedBodies
    from .api.track_descriptions import TrackDescriptions
    from .streaming.stream_slots import StreamSlots
    from .websocket.gateway import Session
    from .websocket.heartbeat import HeartbeatMonitor
    from .websocket.send_queue import WriteBatcher


@dataclass(slots=True)
class Storage:
    """What reads and writes the state file, which is opened when the application starts."""

    loader: RoomLoader = field(init=False)
    saver: StateSaver = field(init=False)


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

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
from .rate_limit import Allowances
from .rooms.library_watch import LibraryWatch
from .rooms.registry import Registry
from .settings import Settings
from .storage.loader import RoomLoader
from .storage.saver import StateSaver

if TYPE_CHECKING:
    from .api.catalogue import TrackCatalogue
    from .api.shared_bodies import SharedBodies


@dataclass(slots=True)
class Storage:
    """What reads and writes the state file, which is opened when the application starts."""

    loader: RoomLoader = field(init=False)
    saver: StateSaver = field(init=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The services of one application.

    ``clock`` returns monotonic seconds, for positions and timeouts; ``wall_clock`` returns epoch
    seconds, for what is shown and compared with tokens, tickets, cookies and HTTP dates.
    ``command_limits`` counts each user's REST commands. ``rescan`` is set to have the media folder
    scanned. ``file_executor`` runs what may wait for the disk. ``open_streams`` counts by user or
    address, ``unauthenticated`` counts WebSockets by address.
    """

    settings: Settings
    clock: Callable[[], float]
    wall_clock: Callable[[], float]
    tokens: Tokens
    session_cookie: SessionCookie
    library: Library
    library_watch: LibraryWatch
    catalogue: TrackCatalogue
    registry: Registry
    storage: Storage
    command_limits: Allowances
    shared_bodies: SharedBodies
    rescan: asyncio.Event
    file_executor: Executor
    open_streams: Counter[Hashable]
    unauthenticated: Counter[str]


SERVICES = web.AppKey("audiostream_services", Services)

# Until their packages use ``SERVICES``:
SETTINGS = web.AppKey("audiostream_settings", Settings)
TOKENS = web.AppKey("audiostream_tokens", Tokens)
LIBRARY = web.AppKey("audiostream_library", Library)
LIBRARY_WATCH = web.AppKey("audiostream_library_watch", LibraryWatch)
REGISTRY = web.AppKey("audiostream_registry", Registry)
ROOM_LOADER = web.AppKey("audiostream_room_loader", RoomLoader)
WALL_CLOCK: web.AppKey[Callable[[], float]] = web.AppKey("audiostream_wall_clock")
RESCAN = web.AppKey("audiostream_rescan", asyncio.Event)
STREAMS: web.AppKey[Counter[Hashable]] = web.AppKey("audiostream_streams")
WAITING: web.AppKey[Counter[str]] = web.AppKey("audiostream_waiting")
FILES = web.AppKey("audiostream_files", Executor)
SESSION_COOKIE = web.AppKey("audiostream_session_cookie", SessionCookie)

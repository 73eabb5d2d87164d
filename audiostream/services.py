"""What the application keeps for its handlers, each under a typed key.

Here: names and types alone. Not here: who makes and who releases these (``app``).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Hashable
from concurrent.futures import Executor

from aiohttp import web

from .auth.access_tokens import Tokens
from .auth.cookies import SessionCookie
from .library.library import Library
from .rooms.library_watch import LibraryWatch
from .rooms.registry import Registry
from .settings import Settings
from .storage.loader import RoomLoader
from .storage.saver import StateSaver

SETTINGS = web.AppKey("audiostream_settings", Settings)
TOKENS = web.AppKey("audiostream_tokens", Tokens)
LIBRARY = web.AppKey("audiostream_library", Library)
LIBRARY_WATCH = web.AppKey("audiostream_library_watch", LibraryWatch)
REGISTRY = web.AppKey("audiostream_registry", Registry)
ROOM_LOADER = web.AppKey("audiostream_room_loader", RoomLoader)
STATE_SAVER = web.AppKey("audiostream_state_saver", StateSaver)
CLOCK: web.AppKey[Callable[[], float]] = web.AppKey("audiostream_clock")
"""Monotonic seconds: for positions and timeouts."""
WALL_CLOCK: web.AppKey[Callable[[], float]] = web.AppKey("audiostream_wall_clock")
"""Epoch seconds: for what is shown, and compared with tokens, tickets, cookies and HTTP dates."""
RESCAN = web.AppKey("audiostream_rescan", asyncio.Event)
STREAMS: web.AppKey[Counter[Hashable]] = web.AppKey("audiostream_streams")
WAITING: web.AppKey[Counter[str]] = web.AppKey("audiostream_waiting")
FILES = web.AppKey("audiostream_files", Executor)
SESSION_COOKIE = web.AppKey("audiostream_session_cookie", SessionCookie)
"""The cookie that proves a browser to the stream route."""

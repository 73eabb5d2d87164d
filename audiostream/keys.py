"""What the application keeps for its handlers, each under a typed key.

Here: names and types alone. Not here: who makes and who releases these (``app``).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Hashable
from concurrent.futures import Executor

from aiohttp import web

from .keeper import Keeper
from .library import Library
from .registry import Registry
from .settings import Settings
from .tokens import Tokens

SETTINGS = web.AppKey("audiostream_settings", Settings)
TOKENS = web.AppKey("audiostream_tokens", Tokens)
LIBRARY = web.AppKey("audiostream_library", Library)
REGISTRY = web.AppKey("audiostream_registry", Registry)
KEEPER = web.AppKey("audiostream_keeper", Keeper)
CLOCK: web.AppKey[Callable[[], float]] = web.AppKey("audiostream_clock")
RESCAN = web.AppKey("audiostream_rescan", asyncio.Event)
STREAMS: web.AppKey[Counter[Hashable]] = web.AppKey("audiostream_streams")
WAITING: web.AppKey[Counter[str]] = web.AppKey("audiostream_waiting")
FILES = web.AppKey("audiostream_files", Executor)

SESSION_COOKIE = "audiostream_session"
"""The cookie that proves a browser to the stream route."""

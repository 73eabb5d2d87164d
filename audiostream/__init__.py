"""audiostream: one playback per user, on all of that user's devices.

``create_app(Settings(...))`` returns an aiohttp application; ``python -m audiostream`` serves one.

The names are imported with their first use: the process that reads tags, and programs that use
``audiostream.client`` alone, need no aiohttp server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .app import create_app
    from .settings import Settings

__all__ = ["Settings", "__version__", "create_app"]
__version__ = "0.1.0"

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name == "create_app":
            from .app import create_app

            return create_app
        if name == "Settings":
            from .settings import Settings

            return Settings
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

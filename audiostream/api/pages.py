"""The player's pages and what belongs to them, from memory.

Here: the files of ``web`` with their media types, and the route that sends them. Not here: what
these files do, and where the route is (``app``).

They are read once, about 200 KB: sending them waits for no disk, and needs no open file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from aiohttp import web

from .responses import Body, respond

WEB: Final = Path(__file__).parent.parent / "web"
CSP: Final = (
    "default-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'self'; object-src 'none'"
)
# By suffix. Systems differ on JavaScript (RFC 9239), and take TypeScript for a video.
_MEDIA_TYPES: Final[Mapping[str, str]] = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".ts": "text/plain; charset=utf-8",
}
_HEADERS: Final = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": CSP,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_PAGES: Final[Mapping[str, Body]] = {
    path.name: Body.of(path.read_bytes(), _MEDIA_TYPES[path.suffix])
    for path in WEB.iterdir()
    if path.suffix in _MEDIA_TYPES
}
PATHS: Final = tuple(f"/{name}" for name in _PAGES)
"""Where each of them is; the index is at ``/`` too."""


async def page(request: web.Request) -> web.Response:
    """``GET``, ``HEAD`` of one of ``PATHS`` or of ``/``: the file; ETag."""
    name = request.path.rpartition("/")[2] or "index.html"
    return respond(request, _PAGES[name], _HEADERS)

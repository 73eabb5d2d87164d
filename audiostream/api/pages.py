"""The files of the player page, served from memory.

They are read once, about 200 KB: sending them does not wait for the disk, and needs no open file.
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
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".ts": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
}
_HEADERS: Final = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": CSP,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_PAGES: Final[Mapping[str, Body]] = {
    path.relative_to(WEB).as_posix(): Body.of(path.read_bytes(), _MEDIA_TYPES[path.suffix])
    for path in sorted(WEB.rglob("*"))
    if path.suffix in _MEDIA_TYPES
}
PATHS: Final = tuple(f"/{name}" for name in _PAGES)
"""The path of each file; the index is at ``/`` too."""


async def page(request: web.Request) -> web.Response:
    """``GET``, ``HEAD`` of one of ``PATHS`` or of ``/``: the file, with its ETag."""
    return respond(request, _PAGES[_name(request.path)], _HEADERS)


def _name(path: str) -> str:
    """Return the longest suffix that names a file: the application may have a path prefix."""
    while path:
        _, _, path = path.partition("/")
        if path in _PAGES:
            return path
    return "index.html"

"""``X-Accel-Redirect``: nginx sends the bytes of an audio file, after the checks of this server.

::

    GET ──► nginx ──► credential, track, file, conditions ──► 200 without a body,
                                                      X-Accel-Redirect: /protected/My%20Song.flac
              ◄── the file's bytes, by nginx's own Range, from an ``internal`` location

nginx sends where it gives the same answer as ``ranges.decide``. Whatever has no body (HEAD, 304,
412, 416, errors), and a request that nginx reads in another way, is answered here as without it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import quote

from aiohttp import web

from ..services import SERVICES
from .ranges import NO_RANGE, ByteRange, ByteRangeSpec, resolve_range

# One range of whole numbers. nginx refuses a malformed range, which RFC 9110 §14.2 lets a server
# ignore, and reads lists of ranges and numbers beyond 64 bits in its own ways.
_PLAIN_RANGE: Final = re.compile(r"bytes=(?:[0-9]{1,18}-[0-9]{0,18}|-[0-9]{1,18})", re.ASCII)
# nginx compares dates without asking whether they are strong (RFC 9110 §8.8.2.2).
_STRONG_ETAG: Final = re.compile(r'"[^"]*"')

_HEADERS_OF_NGINX: Final = frozenset({"Accept-Ranges", "Content-Range", "Last-Modified"})
"""Headers that nginx makes itself of the file that it sends."""


def redirect_target(request: web.Request, path: Path) -> str | None:
    """Return the URI by which nginx finds the file at ``path``; None where it is not to send it.

    It sends where the setting names its location and a trusted proxy has forwarded the request,
    which ``X-Forwarded-For`` shows: a client of the same machine may have the proxy's address. A
    file outside the media folder has no URI.
    """
    services = request.app[SERVICES]
    location = services.settings.x_accel
    if location is None or "X-Forwarded-For" not in request.headers:
        return None
    if not services.proxies.trusts(request.remote):
        return None
    return file_uri(location, services.library.root, path)


def file_uri(location: str, root: Path, path: Path) -> str | None:
    """Return ``location`` and the path below ``root``, percent-encoded (RFC 3986 §2.1)."""
    if not path.is_relative_to(root):
        return None
    # As bytes: a name need not be UTF-8.
    return location + quote(os.fsencode(path.relative_to(root)), safe="/")


def are_plain(conditions: Mapping[str, str]) -> bool:
    """Return whether nginx reads ``conditions``, some of ``CONDITIONAL_HEADERS``, as we do."""
    if not conditions.keys() <= {"Range", "If-Range"}:
        return False  # nginx would compare them with validators that no client has
    if_range, asked = conditions.get("If-Range"), conditions.get("Range")
    return (if_range is None or _STRONG_ETAG.fullmatch(if_range) is not None) and (
        asked is None or _PLAIN_RANGE.fullmatch(asked) is not None
    )


def is_sendable(spec: ByteRangeSpec, status: os.stat_result, now: float) -> bool:
    """Return whether nginx sends what ``ranges.decide`` chooses of a file, for a plain request.

    Without bytes there is nothing to send. ``now`` is in epoch seconds.
    """
    has_bytes = isinstance(resolve_range(spec, status.st_size), ByteRange) or (
        spec == NO_RANGE and status.st_size > 0
    )
    # A Last-Modified must not be later than the Date of its response (RFC 9110 §8.8.2.1).
    return has_bytes and 0 <= status.st_mtime <= now


def redirect_headers(
    target: str, headers: Mapping[str, str], status: os.stat_result
) -> dict[str, str]:
    """Return the headers that have nginx send a file; ``headers`` describe it to the client.

    ``X-Nginx-ETag`` is the tag that nginx makes of a file's time and size. Its configuration
    compares it with that of the file it has opened, and only then sends our ETag: a file that is
    replaced in between gets no validator, and so If-Range no part of it.
    """
    redirect = {name: text for name, text in headers.items() if name not in _HEADERS_OF_NGINX}
    redirect["X-Accel-Redirect"] = target
    redirect["X-Nginx-ETag"] = f'"{status.st_mtime_ns // 1_000_000_000:x}-{status.st_size:x}"'
    return redirect

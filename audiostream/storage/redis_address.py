"""The address of a Redis as it may be shown: without the password."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qs, urlsplit

DEFAULT_PORT: Final = 6379
"""Redis's own."""


def describe(url: str) -> str:
    """Return the scheme, host, port and database of a Redis URL, or the path of its socket.

    Raises ``ValueError`` for a port that is no number.
    """
    parts = urlsplit(url)
    named = parse_qs(parts.query).get("db", [""])[0] or parts.path.strip("/")
    if parts.scheme == "unix":
        return f"unix://{parts.path}"
    host = parts.hostname or "localhost"
    host = f"[{host}]" if ":" in host else host
    database = named if named.isdecimal() else "0"
    return f"{parts.scheme}://{host}:{parts.port or DEFAULT_PORT}/{database}"

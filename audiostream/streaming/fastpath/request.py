"""``RangeRequest``: parse a plain GET for a stream; whatever is not plain is left to aiohttp."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from ...auth.cookies import SessionCookie
from ...ops.proxies import Client
from ..ranges import ByteRangeSpec, parse_range
from ..x_accel import are_plain

MAX_HEAD: Final = 4096
"""Bytes of a request; longer ones are left to aiohttp."""
MAX_FIELDS: Final = 128
"""Header fields of a request; aiohttp refuses more."""

Fields: TypeAlias = Mapping[bytes, bytes]
"""Header fields of one request, with the names in lower case; no name occurs twice."""

# A request line and fields in the strictest form of RFC 9112: no folding, no bare CR or LF, nothing
# beyond ASCII, no body behind it.
_HEAD = re.compile(
    rb"GET (/[!-~]*) HTTP/1\.1\r\n((?:[A-Za-z0-9!#$%&'*+.^_`|~-]+:[\t -~]*\r\n)+)\r\n"
)
_FIELD = re.compile(rb"([^:\r\n]+):([^\r\n]*)\r\n")
_STREAM = re.compile(rb"(?:/api)?/tracks/stream/([A-Za-z0-9_-]+)(?:\?ticket=([A-Za-z0-9_.-]+))?")
_COOKIES = re.compile(rb"[A-Za-z0-9_.-]+=[A-Za-z0-9_.-]+(?:; [A-Za-z0-9_.-]+=[A-Za-z0-9_.-]+)*")

_FRAMING_FIELDS: Final = frozenset(
    {b"content-length", b"transfer-encoding", b"upgrade", b"expect", b"te"}
)
"""Fields of a request that something else than the next request may follow (RFC 9112 §6)."""
_OTHER_FIELDS: Final = frozenset(
    {
        b"origin",
        b"if-match",
        b"if-none-match",
        b"if-modified-since",
        b"if-unmodified-since",
    }
)
"""Fields that change the answer and that only aiohttp's way evaluates."""

# The value of a Range field as players write it, and where a request has it.
_POSITIONS = re.compile(rb"bytes=([0-9]{1,18})-([0-9]{0,18})")
_RANGE = re.compile(rb"\r\nrange:[\t ]*+([^\t\r\n ]*+)[\t ]*+\r\n", re.IGNORECASE)
_MAX_POSITIONS: Final = len(b"bytes=-") + 2 * 18
"""Bytes of the longest value that ``_POSITIONS`` matches."""


def parse_head(data: bytes) -> tuple[bytes, Fields] | None:
    """Return the target and the fields of one whole GET without a body, None for anything else.

    Never of two requests, nor of one whose end is in doubt.
    """
    if len(data) > MAX_HEAD:
        return None
    match = _HEAD.fullmatch(data)
    if match is None:
        return None
    lines = _FIELD.findall(match[2])
    fields = {name.lower(): value.strip(b"\t ") for name, value in lines}
    if len(lines) > MAX_FIELDS or len(fields) != len(lines) or b"host" not in fields:
        return None
    if not _FRAMING_FIELDS.isdisjoint(fields):
        return None
    if fields.get(b"connection", b"keep-alive").lower() != b"keep-alive":
        return None
    return match[1], fields


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class RangeRequest:
    """A plain request for a stream, but for the positions of its range.

    A player that plays or seeks sends the same bytes again and again with other positions:
    ``match_repeat`` parses these alone. ``before`` and ``after`` are what stands around them.
    ``is_forwarded`` is whether a proxy says so, and ``is_plain`` whether nginx, too, would read its
    Range and If-Range as we do, whatever the positions.
    """

    target: bytes
    track_id: str
    authorization: str | None
    ticket: str | None
    cookie: str | None
    if_range: str | None
    is_forwarded: bool
    is_plain: bool
    client: Client
    before: bytes
    after: bytes

    @classmethod
    def parse(
        cls,
        data: bytes,
        head: tuple[bytes, Fields],
        session_cookie: SessionCookie,
        client_of: Callable[[Fields], Client],
    ) -> tuple[RangeRequest, ByteRangeSpec] | None:
        """Parse what ``parse_head`` has found in ``data``; None where it is for aiohttp.

        ``client_of`` returns who has sent the request.
        """
        target, fields = head
        stream = _STREAM.fullmatch(target)
        if stream is None or not _OTHER_FIELDS.isdisjoint(fields):
            return None
        client, cookie = client_of(fields), None
        if (cookies := fields.get(b"cookie")) is not None:
            name = session_cookie.name(client.host, is_tls=client.is_tls)
            if name.encode() in cookies:
                if _COOKIES.fullmatch(cookies) is None:
                    return None  # quotes and the like: aiohttp knows what they mean
                cookie = dict(pair.split("=") for pair in cookies.decode().split("; ")).get(name)
        given = {"Range": _text(fields.get(b"range")), "If-Range": _text(fields.get(b"if-range"))}
        before, after = _around_positions(data)
        request = cls(
            target=target,
            track_id=stream[1].decode(),
            authorization=_text(fields.get(b"authorization")),
            ticket=_text(stream[2]),
            cookie=cookie,
            if_range=given["If-Range"],
            is_forwarded=b"x-forwarded-for" in fields,
            is_plain=are_plain({name: text for name, text in given.items() if text is not None}),
            client=client,
            before=before,
            after=after,
        )
        return request, parse_range(given["Range"])

    def match_repeat(self, data: bytes) -> ByteRangeSpec | None:
        """Return the positions of a request that differs from this one in them alone, else None."""
        if not (data.startswith(self.before) and data.endswith(self.after)):
            return None
        match = _POSITIONS.fullmatch(data, len(self.before), len(data) - len(self.after))
        if match is None:
            return None
        first, last = match.groups()
        return ByteRangeSpec(int(first), int(last) if last else None)


def _around_positions(data: bytes) -> tuple[bytes, bytes]:
    """Return what stands before and after the positions; all of it where nothing can repeat it."""
    match = _RANGE.search(data)
    if match is None or _POSITIONS.fullmatch(match[1]) is None:
        return data, b""
    if len(data) - len(match[1]) + _MAX_POSITIONS > MAX_HEAD:
        return data, b""
    return data[: match.start(1)], data[match.end(1) :]


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode()

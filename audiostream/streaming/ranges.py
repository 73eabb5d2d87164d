"""Which bytes of a file a request gets: conditional requests and Range (RFC 9110 §13, §14), pure.

::

    method, headers, validators, size, now ── decide ──▶ WholeFile, ByteRange, NotModified,
                                                         PreconditionFailed, RangeNotSatisfiable
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import formatdate
from functools import lru_cache
from typing import ClassVar, Final, NamedTuple, TypeAlias

from ..library.formats import media_type

CONDITIONAL_HEADERS: Final = (
    "If-Match",
    "If-Unmodified-Since",
    "If-None-Match",
    "If-Modified-Since",
    "If-Range",
    "Range",
)
"""The request headers that ``decide`` evaluates."""


@dataclass(frozen=True, slots=True)
class WholeFile:
    """All bytes."""

    status: ClassVar[int] = 200


@dataclass(frozen=True, slots=True)
class ByteRange:
    """The bytes ``start <= n < stop``, where ``0 <= start < stop <= size``."""

    status: ClassVar[int] = 206
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class RangeNotSatisfiable:
    """The file has no byte in the requested range."""

    status: ClassVar[int] = 416


@dataclass(frozen=True, slots=True)
class NotModified:
    """The client's copy is current."""

    status: ClassVar[int] = 304


@dataclass(frozen=True, slots=True)
class PreconditionFailed:
    """The file is not the version that the client requires."""

    status: ClassVar[int] = 412


Decision: TypeAlias = WholeFile | ByteRange | RangeNotSatisfiable | NotModified | PreconditionFailed


class ByteRangeSpec(NamedTuple):
    """The positions of a Range header as RFC 9110 §14.1.2 writes them, both inclusive.

    Without ``first``, ``last`` is a suffix length: that many bytes at the end of the file.
    """

    first: int | None
    last: int | None


NO_RANGE: Final = ByteRangeSpec(None, None)

_EARLIEST_MTIME: Final = -30_610_224_000
"""Epoch seconds of the year 1000: the year of an HTTP-date has four digits."""


@dataclass(frozen=True, slots=True)
class Validators:
    """What distinguishes one version of a file from another (RFC 9110 §8.8).

    ``etag`` is a strong entity tag with its quotes, ``mtime`` is in whole epoch seconds.
    """

    etag: str
    mtime: int

    @classmethod
    def from_stat(cls, status: os.stat_result, now: float) -> Validators:
        """Derive both from a file's status; ``now`` in epoch seconds."""
        # Some programs change a file and restore its mtime; none restores its ctime.
        times = f"{status.st_mtime_ns:x}-{status.st_ctime_ns:x}"
        etag = f'"{times}-{status.st_size:x}-{status.st_ino:x}"'
        # Last-Modified must not be later than the Date of its response (§8.8.2.1).
        mtime = min(status.st_mtime_ns // 1_000_000_000, int(now))
        return cls(etag, max(_EARLIEST_MTIME, mtime))

    @property
    def last_modified(self) -> str:
        """``mtime`` as an HTTP-date (§5.6.7)."""
        return format_http_date(self.mtime)


@lru_cache(maxsize=256)
def format_http_date(moment: int) -> str:
    """Format whole epoch seconds as an HTTP-date (RFC 9110 §5.6.7)."""
    return formatdate(moment, usegmt=True)


_OWS: Final = " \t"
# One range, in a list whose other elements are empty (RFC 9110 §5.6.1, §14.1).
_ONE_RANGE = re.compile(
    r"[ \t]*bytes[ \t]*=(?:[ \t]*,)*[ \t]*([0-9]*)-([0-9]*)(?:[ \t]*,)*[ \t]*",
    re.ASCII | re.IGNORECASE,
)

# The preferred form, and the two obsolete ones that a recipient must accept (RFC 9110 §5.6.7).
_DATE_FORMATS: Final = (
    "%a, %d %b %Y %H:%M:%S GMT",
    "%A, %d-%b-%y %H:%M:%S GMT",
    "%a %b %d %H:%M:%S %Y",
)

_MAX_DIGITS: Final = 18
"""Digits that are passed to ``int``; more are beyond any file, and beyond its own limit."""
_BEYOND_ANY_FILE: Final = 10**_MAX_DIGITS

_DATE_IS_STRONG_AFTER: Final = 2.0
"""Seconds after which a date identifies one version of a file: a file may change again within the
second that its date names, and some file systems count in pairs of seconds."""


def decide(
    method: str, headers: Mapping[str, str], validators: Validators, size: int, now: float
) -> Decision:
    """Evaluate preconditions and Range in the order of RFC 9110 §13.2.2; never raises.

    For GET and HEAD. ``headers`` maps the names in ``CONDITIONAL_HEADERS`` to values, repeated
    headers joined by commas; ``size`` is in bytes, ``now`` in epoch seconds.
    """
    refusal = _evaluate_preconditions(headers, validators)
    if refusal is not None:
        return refusal
    # Range is defined for GET alone (§14.2).
    if method != "GET" or not if_range_matches(headers.get("If-Range"), validators, now):
        return WholeFile()
    return resolve_range(parse_range(headers.get("Range")), size)


def parse_range(header: str | None) -> ByteRangeSpec:
    """Parse a Range header; never raises.

    Another unit, a malformed range, and more than one range count as ``NO_RANGE``, which RFC 9110
    §14.2 allows: a player that seeks asks for one.
    """
    match = _ONE_RANGE.fullmatch(header or "")
    if match is None:
        return NO_RANGE
    return ByteRangeSpec(_parse_position(match[1]), _parse_position(match[2]))


def resolve_range(spec: ByteRangeSpec, size: int) -> WholeFile | ByteRange | RangeNotSatisfiable:
    """Return the part of a file of ``size`` bytes that lies between two positions."""
    first, last = spec
    if first is None:
        return WholeFile() if last is None else _byte_range(max(size - last, 0), size)
    if last is None:
        return _byte_range(first, size)
    return WholeFile() if first > last else _byte_range(first, min(last + 1, size))


def if_range_matches(if_range: str | None, validators: Validators, now: float) -> bool:
    """Whether a Range header may be applied (RFC 9110 §13.1.5); ``now`` in epoch seconds.

    The client must hold a part of exactly this version: an entity tag has to match strongly, a
    date has to be equal and strong. Without If-Range, Range applies.
    """
    if if_range is None:
        return True
    if '"' in if_range:
        return if_range.strip(_OWS) == validators.etag
    is_strong = now - validators.mtime >= _DATE_IS_STRONG_AFTER
    return is_strong and _parse_http_date(if_range) == validators.mtime


def body_range(decision: Decision, size: int) -> range:
    """Return the positions in the file of the bytes that a response's body consists of."""
    if isinstance(decision, ByteRange):
        return range(decision.start, decision.stop)
    return range(size if isinstance(decision, WholeFile) else 0)


def response_headers(
    decision: Decision, validators: Validators, size: int, path: str
) -> dict[str, str]:
    """Return the headers that describe a file and the part of it, but for Content-Length."""
    headers = {}
    if isinstance(decision, ByteRange):
        headers["Content-Range"] = f"bytes {decision.start}-{decision.stop - 1}/{size}"
    elif isinstance(decision, RangeNotSatisfiable):
        headers["Content-Range"] = f"bytes */{size}"
    headers["ETag"] = validators.etag
    headers["Last-Modified"] = validators.last_modified
    headers["Accept-Ranges"] = "bytes"
    headers["Cache-Control"] = "private, no-cache"
    if isinstance(decision, WholeFile | ByteRange):
        headers["Content-Type"] = media_type(path)
    return headers


def _evaluate_preconditions(
    headers: Mapping[str, str], validators: Validators
) -> NotModified | PreconditionFailed | None:
    etag, mtime = validators.etag, validators.mtime
    unmodified_since = _parse_http_date(headers.get("If-Unmodified-Since"))
    modified_since = _parse_http_date(headers.get("If-Modified-Since"))
    if (tags := headers.get("If-Match")) is not None:
        if _entity_tags(tags).isdisjoint({"*", etag}):
            return PreconditionFailed()
    elif unmodified_since is not None and mtime > unmodified_since:
        return PreconditionFailed()
    if (tags := headers.get("If-None-Match")) is not None:
        if not _entity_tags(tags).isdisjoint({"*", etag, f"W/{etag}"}):
            return NotModified()
    elif modified_since is not None and mtime <= modified_since:
        return NotModified()
    return None


def _entity_tags(header: str) -> set[str]:
    # A foreign tag may contain commas, but no piece of it begins and ends with a quote like ours.
    return {item.strip(_OWS) for item in header.split(",")}


def _parse_http_date(text: str | None) -> int | None:
    """Parse any of the three forms of an HTTP-date; None if it is not one."""
    for form in _DATE_FORMATS if text else ():
        with suppress(ValueError):
            return int(datetime.strptime(text or "", form).replace(tzinfo=UTC).timestamp())
    return None


def _parse_position(digits: str) -> int | None:
    if not digits:
        return None
    if len(digits) > _MAX_DIGITS:
        digits = digits.lstrip("0")
    return int(digits or "0") if len(digits) <= _MAX_DIGITS else _BEYOND_ANY_FILE


def _byte_range(start: int, stop: int) -> ByteRange | RangeNotSatisfiable:
    return ByteRange(start, stop) if start < stop else RangeNotSatisfiable()

"""Content coding: whether a response is compressed with gzip, and under which entity tag.

Lists of tracks are compressed although they contain secrets, the tickets. An attack that guesses a
secret from the compressed length (BREACH) needs a page that makes a browser send authenticated
requests, with text of its own next to the secret. No page of another origin can: REST accepts the
``Authorization`` header alone, which browsers never add by themselves, and no cookie. And what the
request contains is not part of the list: ``q`` selects tracks, and is not repeated anywhere.
"""

from __future__ import annotations

import gzip
import re
from dataclasses import dataclass
from typing import Final

MIN_LENGTH: Final = 4096
"""Bytes from which on a body is compressed. Fewer fit into three packets as they are."""
LEVEL: Final = 1
"""Of zlib. A list of 10,000 tracks takes 18 ms and 37 % of its size; at the usual level 6, 35 ms
and 35 %: half of a list are tickets, which cannot be compressed."""

_CODING = re.compile(
    r"([\w!#$%&'*+.^`|~-]+)(?:[ \t]*;[ \t]*[qQ]=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?))?"
)


@dataclass(frozen=True, slots=True)
class GzipPreference:
    """Whether a client prefers gzip, for a body of ``MIN_LENGTH`` or more and for a shorter one."""

    if_long: bool = False
    if_short: bool = False

    @classmethod
    def of(cls, accept_encoding: str | None) -> GzipPreference:
        """Parse an ``Accept-Encoding`` header (RFC 9110 §12.5.3), None where there is none.

        A short body is compressed only for a client that refuses ``identity``. A client that
        accepts neither gets ``identity``, which §12.4.1 allows. Malformed elements are ignored.
        """
        weights = _weights(accept_encoding or "")
        gzip_weight = weights.get("gzip", weights.get("*", 0.0))
        identity_weight = weights.get("identity", 0.0 if weights.get("*") == 0 else None)
        if identity_weight == 0:
            return cls(gzip_weight > 0, gzip_weight > 0)
        return cls(gzip_weight > 0 and gzip_weight >= (identity_weight or 0.0))

    def applies_to(self, length: int) -> bool:
        """Return whether a body of that many bytes is to be compressed."""
        return self.if_long if length >= MIN_LENGTH else self.if_short


def compress(data: bytes) -> bytes:
    """Return the same bytes for the same data. Blocks 7 ms per megabyte, without the GIL."""
    return gzip.compress(data, LEVEL, mtime=0)


def compressed_etag(etag: str) -> str:
    """Return the strong entity tag of the compressed body: other bytes, another tag (§8.8.3.3)."""
    return f'{etag[:-1]}-gzip"'


def _weights(accept_encoding: str) -> dict[str, float]:
    weights: dict[str, float] = {}
    for part in accept_encoding.split(","):
        if found := _CODING.fullmatch(part.strip(" \t")):
            weights[found[1].lower().removeprefix("x-")] = float(found[2] or 1)
    return weights

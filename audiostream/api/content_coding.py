"""Content codings: whether an answer is compressed, and under which entity tag.

Here: the choice by ``Accept-Encoding`` (RFC 9110 §12.5.3), and gzip. Not here: which answers may
be compressed (``rest``), and how they are sent (``answers``).

Lists of tracks are, although they have secrets in them, the tickets. What guesses a secret from
the length of an answer (BREACH) needs a page that makes a browser ask again and again with its
user's proof, and text of its own beside the secret. No page of another origin can: REST takes the
``Authorization`` header alone, which a browser never adds by itself, and no cookie. And what an
asker chooses is not in the list: ``q`` picks tracks, and is not written anywhere.
"""

from __future__ import annotations

import gzip
import re
from dataclasses import dataclass
from typing import Final

WORTHWHILE: Final = 4096
"""Bytes from which on a body is compressed. Less fits into three packets as it is."""
LEVEL: Final = 1
"""Of zlib. A list of 10,000 tracks takes 18 ms and 37 % of its size; at the usual level 6, 35 ms
and 35 %: half of a list are tickets, which nothing compresses."""

_CODING = re.compile(
    r"([\w!#$%&'*+.^`|~-]+)(?:[ \t]*;[ \t]*[qQ]=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?))?"
)


@dataclass(frozen=True, slots=True)
class Wish:
    """Whether an asker prefers gzip, of a body that is worth it and of a short one."""

    if_long: bool = False
    if_short: bool = False

    @classmethod
    def of(cls, accept_encoding: str | None) -> Wish:
        """From an ``Accept-Encoding`` field, None where there is none.

        A short body is compressed for those alone that refuse it as it is. Who takes neither gets
        it as it is (§12.4.1 lets a server choose). Never raises: what is malformed names no coding.
        """
        weights = _weights(accept_encoding or "")
        gzip_weight = weights.get("gzip", weights.get("*", 0.0))
        plain = weights.get("identity", 0.0 if weights.get("*") == 0 else None)
        if plain == 0:
            return cls(gzip_weight > 0, gzip_weight > 0)
        return cls(gzip_weight > 0 and gzip_weight >= (plain or 0.0))

    def is_gzip(self, length: int) -> bool:
        """Whether a body of that many bytes is to be compressed."""
        return self.if_long if length >= WORTHWHILE else self.if_short


def compressed(data: bytes) -> bytes:
    """By gzip, always to the same bytes. Blocks for 7 ms per megabyte; other threads run on."""
    return gzip.compress(data, LEVEL, mtime=0)


def compressed_etag(etag: str) -> str:
    """The strong tag of what is compressed: other bytes, so another tag (§8.8.3.3)."""
    return f'{etag[:-1]}-gzip"'


def _weights(accept_encoding: str) -> dict[str, float]:
    weights: dict[str, float] = {}
    for part in accept_encoding.split(","):
        if found := _CODING.fullmatch(part.strip(" \t")):
            weights[found[1].lower().removeprefix("x-")] = float(found[2] or 1)
    return weights

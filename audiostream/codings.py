"""Content codings: whether an answer is compressed, and under which entity tag.

Here: the choice by ``Accept-Encoding`` (RFC 9110 §12.5.3), and gzip. Not here: which answers may
be compressed (``rest``).

Lists of tracks are, although they have secrets in them, the tickets. What guesses a secret from
the length of an answer (BREACH) needs a page that makes a browser ask again and again with its
user's proof, and text of its own beside the secret. No page of another origin can: REST takes the
``Authorization`` header alone, which a browser never adds by itself, and no cookie. And what an
asker chooses is not in the list: ``q`` picks tracks, and is not written anywhere.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Collection
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
class Encoded:
    """A body as it is sent, and the entity tag of just these bytes, without quotes."""

    body: bytes
    etag: str
    is_gzip: bool = False


def encode(
    body: bytes, etag: str, accept_encoding: str | None, known: Collection[str] = ()
) -> Encoded:
    """A body in the coding that its asker prefers. ``etag`` is that of the body as it is.

    ``known`` are the tags of what the asker has, or ``*``: where one is of this body in any coding,
    the answer has that tag, and nothing is compressed. Blocks for 7 ms per megabyte, and lets other
    threads run meanwhile.
    """
    compressed_etag = f"{etag}-gzip"  # other bytes, so another strong tag (§8.8.3.3)
    for tag in (etag, compressed_etag):
        if tag in known:
            return Encoded(body, tag)
    if "*" in known or not takes_gzip(accept_encoding, is_long=len(body) >= WORTHWHILE):
        return Encoded(body, etag)
    return Encoded(gzip.compress(body, LEVEL, mtime=0), compressed_etag, is_gzip=True)


def takes_gzip(accept_encoding: str | None, *, is_long: bool) -> bool:
    """Whether gzip is the better answer to an ``Accept-Encoding`` field.

    A short body is compressed for those alone that refuse it as it is. Who takes neither gets it
    as it is (§12.4.1 lets a server choose). Never raises: what is malformed names no coding.
    """
    if accept_encoding is None:
        return False
    weights: dict[str, float] = {}
    for part in accept_encoding.split(","):
        if found := _CODING.fullmatch(part.strip(" \t")):
            weights[found[1].lower().removeprefix("x-")] = float(found[2] or 1)
    wanted = weights.get("gzip", weights.get("*", 0.0))
    plain = weights.get("identity", 0.0 if weights.get("*") == 0 else None)
    if plain == 0:
        return wanted > 0
    return is_long and wanted > 0 and wanted >= (plain or 0.0)

"""The names of keys and channels in Redis.

All keys of a user have the hash tag ``{USER}``: in a Redis Cluster they are on one node, and one
script may use them all (Redis Cluster specification, "Hash tags").
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, unquote

PREFIX: Final = "audiostream:"
PROCESSES: Final = PREFIX + "processes"
"""Sorted set: process ids by when they were last renewed, in epoch seconds."""
REVOKED: Final = PREFIX + "{revoked}:users"
"""Hash: since when (epoch seconds) the credentials of users are void, by ``encode_user``."""
REVOKED_VERSION: Final = PREFIX + "{revoked}:version"
"""Grows with each revocation."""
BASE_CHANNEL: Final = PREFIX + "none"
"""A channel on which nothing is published: a subscription always has one."""


def encode_user(user_id: str) -> str:
    """Percent-encode a user id, braces and lone surrogates too: it cannot break a hash tag."""
    return quote(user_id, safe="", errors="surrogatepass")


def decode_user(text: str) -> str:
    """Return the user id that ``encode_user`` encoded."""
    return unquote(text, errors="surrogatepass")


def user_key(user_id: str, name: str) -> str:
    """Return a user's key or channel.

    ``room`` is a hash (version, change_id, state, queue, applied), ``devices`` a hash (rows by
    device key), ``changes`` a list (the last change ids). ``stops`` is a hash (stop points by
    track), ``stopped`` a sorted set (tracks in the order of their last stop point); ``played`` a
    sorted set (tracks in the order in which they were last played), ``played_at`` a hash (when).
    ``streams`` and ``commands`` are hashes by process; ``events`` is the channel.
    """
    return f"{PREFIX}{{{encode_user(user_id)}}}:{name}"

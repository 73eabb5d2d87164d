"""``Request``: a command or script for Redis, and the key that tells which node is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .redis_scripts import Script


@dataclass(frozen=True, slots=True)
class Request:
    """``arguments`` are sent, and ``without_digest`` where Redis does not have the script yet.

    ``is_repeatable``: carrying it out twice is the same as once.
    """

    key: str
    arguments: tuple[Any, ...]
    without_digest: tuple[Any, ...] | None = None
    is_repeatable: bool = True


def command(key: str, *arguments: Any, is_repeatable: bool = True) -> Request:
    """Return a command about a key; ``arguments`` begin with its name."""
    return Request(key, arguments, is_repeatable=is_repeatable)


def call(script: Script, keys: Sequence[str], *arguments: Any) -> Request:
    """Return the call of a script, whose keys have one hash tag."""
    rest = (len(keys), *keys, *arguments)
    return Request(
        keys[0],
        ("EVALSHA", script.digest, *rest),
        ("EVAL", script.text, *rest),
        script.is_repeatable,
    )

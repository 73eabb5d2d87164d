"""Check at the start that a Redis can keep playback, and say what to do where it cannot."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Mapping
from typing import Any, Final

from redis import VERSION, exceptions

from ..errors import StoreError
from .redis_address import describe
from .redis_connection import RedisConnection
from .redis_keys import user_key
from .redis_scripts import LOAD

MIN_VERSION: Final = (6, 2)
"""Redis. All releases of Valkey are later; they report the Redis version that they equal."""
MIN_PACKAGE: Final = (5, 0, 1)
"""The Python package ``redis``."""
START_TIMEOUT: Final = 5.0
"""Seconds in which Redis must answer at the start."""
_HINT: Final = "Is it running, and is AUDIOSTREAM_REDIS right?"
_RIGHTS: Final = "~audiostream:* &audiostream:* +@all -@admin -@dangerous +info +cluster|slots"
_PROBE: Final = user_key("", "room")
"""No user's: reading it tells whether scripts may run."""
_log = logging.getLogger(__name__)


async def connect(url: str) -> RedisConnection:
    """Return the connection to a Redis that was checked. Raises ``StoreError``."""
    try:
        name = describe(url)
        connection = RedisConnection(url)
    except (ValueError, TypeError) as error:  # a wrong port, or an option that does not exist
        raise StoreError(f"AUDIOSTREAM_REDIS cannot be used: {_without_password(error)}.") from None
    if tuple(VERSION[:3]) < MIN_PACKAGE:
        raise _too_old("the Python package redis", ".".join(map(str, VERSION)), MIN_PACKAGE)
    try:
        async with asyncio.timeout(START_TIMEOUT):
            await _check(connection, name)
    except (TimeoutError, exceptions.TimeoutError):
        await connection.close()
        raise StoreError(f"Redis at {name} does not answer. {_HINT}") from None
    except (exceptions.RedisError, OSError) as error:
        await connection.close()
        raise _refusal(name, error) from None
    except BaseException:
        await connection.close()
        raise
    return connection


async def _check(connection: RedisConnection, name: str) -> None:
    nodes = connection.nodes
    async with nodes.all()[0].client() as redis:
        info = await redis.info()
    version = str(info["redis_version"])
    if _numbers(version) < MIN_VERSION:
        raise _too_old(f"Redis at {name}", version, MIN_VERSION)
    if info.get("role") not in ("master", None):
        raise StoreError(
            f"Redis at {name} is a replica, which cannot be written to. "
            "Name its primary in AUDIOSTREAM_REDIS."
        )
    if info.get("cluster_enabled"):
        nodes.is_cluster = True
        await nodes.load_slots()
    async with nodes.of(_PROBE).client() as redis:
        await redis.execute_command("EVAL", LOAD.text, 2, _PROBE, _PROBE)
    product = str(info.get("server_name", "redis")).capitalize()
    version = str(info.get(f"{product.lower()}_version", version))
    shape = f"a cluster of {nodes.count}" if nodes.is_cluster else "one server"
    _log.info("playback is kept in %s %s at %s (%s)", product, version, name, shape)
    _warn_of_losses(info)


def _warn_of_losses(info: Mapping[str, Any]) -> None:
    """Log which settings of Redis lose playback."""
    policy = str(info.get("maxmemory_policy", "noeviction"))
    if info.get("maxmemory") and policy.startswith("allkeys"):
        _log.warning(
            "Redis drops playback when its memory is full (maxmemory-policy %s): "
            "set it to noeviction",
            policy,
        )
    if not info.get("aof_enabled"):
        _log.warning(
            "Redis keeps no append-only file: when it ends, what changed since its last "
            "snapshot is lost; set appendonly yes"
        )


def _refusal(name: str, error: Exception) -> StoreError:
    """Return what to do about an error at the start."""
    text = str(error)
    if isinstance(error, exceptions.AuthenticationError) or text.startswith(
        ("NOAUTH", "WRONGPASS")
    ):
        return StoreError(
            f"Redis at {name} refuses the user or password, or wants one ({text}). "
            "Write AUDIOSTREAM_REDIS as redis://user:password@host:port/0, percent-encoded."
        )
    if isinstance(error, exceptions.NoPermissionError) or text.startswith("NOPERM"):
        return StoreError(
            f"Redis at {name} does not permit its user what audiostream needs ({text}). "
            f"Grant it: ACL SETUSER name {_RIGHTS}"
        )
    if isinstance(error, exceptions.BusyLoadingError):
        return StoreError(f"Redis at {name} is loading its data. Start audiostream again then.")
    if isinstance(error, exceptions.ResponseError):
        return StoreError(f"Redis at {name} cannot be used: {text}.")
    return StoreError(f"Redis at {name} cannot be reached ({text}). {_HINT}")


def _too_old(what: str, version: str, needed: tuple[int, ...]) -> StoreError:
    return StoreError(f"{what} is too old: {version}; {'.'.join(map(str, needed))} is needed.")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(each) for each in re.findall(r"\d+", version)[:2])


def _without_password(error: Exception) -> str:
    """Return an error's text up to what it may quote of the URL."""
    return re.split(r"""['":]""", str(error))[0].strip()

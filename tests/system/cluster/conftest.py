"""A Redis for each module, and three processes on it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cluster import Cluster
from tests.support.media_folder import write_four_tracks
from tests.support.redis_server import RedisServer, running_redis

LISTED = 3600
"""Seconds that tracks last: none ends by itself while users act at random."""


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis that keeps its data as README says it should."""
    with running_redis(tmp_path_factory.mktemp("redis"), appendonly=True) as server:
        yield server


@pytest.fixture(scope="module")
def shared_media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The media folder that all processes of a module see."""
    return write_four_tracks(tmp_path_factory.mktemp("media"), LISTED)


@pytest.fixture(scope="module")
def environ() -> dict[str, str]:
    """Settings of the processes, for modules that need others."""
    return {}


@pytest.fixture(scope="module")
def cluster(redis: RedisServer, shared_media: Path, environ: dict[str, str]) -> Iterator[Cluster]:
    """Three processes for the tests of a module, which have users of their own."""
    cluster = Cluster(shared_media, redis, environ)
    try:
        asyncio.run(cluster.start(3))
        yield cluster
    finally:
        asyncio.run(cluster.close())

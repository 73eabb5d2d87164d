"""The servers of the tests of the fast path."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from audiostream import Settings
from tests.system.fastpath.support import (
    Server,
    serve,
)


@pytest.fixture
async def server(settings: Settings, media: Path) -> AsyncIterator[Server]:
    async with serve(settings, media) as server:
        yield server


@pytest.fixture
async def public_server(settings: Settings, media: Path) -> AsyncIterator[Server]:
    async with serve(replace(settings, public_streams=True), media) as server:
        yield server


@pytest.fixture
def long_song(media: Path) -> bytes:
    """More than the buffers between a server and a client with little room keep."""
    audio = b"".join(number.to_bytes(4, "big") for number in range(2 << 20))
    (media / "song.wav").write_bytes(audio)
    return audio

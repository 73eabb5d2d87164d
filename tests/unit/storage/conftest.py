"""A state file on disk."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from audiostream.storage.playback_store import PlaybackStore
from tests.support.server_memory import ServerMemory


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "state.sqlite3"


@pytest.fixture
def store(path: Path) -> Iterator[PlaybackStore]:
    store = PlaybackStore(path)
    yield store
    store.close()


@pytest.fixture
async def memory(tmp_path: Path) -> AsyncIterator[ServerMemory]:
    memory = ServerMemory(tmp_path / "state")
    yield memory
    await memory.stop()

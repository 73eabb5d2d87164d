"""Loads of stop points that wait."""

from __future__ import annotations

import threading

import pytest

from audiostream.storage.playback_store import PlaybackStore
from tests.support.waiting import PATIENCE, until


class LoadGate:
    """Lets loads of stop points wait until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[tuple[str, str]] = []
        self._open = threading.Event()
        stop_point = PlaybackStore.stop_point

        def load(store: PlaybackStore, user_id: str, track_id: str) -> float | None:
            self.asked.append((user_id, track_id))
            assert self._open.wait(PATIENCE)
            return stop_point(store, user_id, track_id)

        monkeypatch.setattr(PlaybackStore, "stop_point", load)

    def open(self) -> None:
        self._open.set()

    async def is_asked(self) -> None:
        """Return once a load waits."""
        await until(lambda: self.asked)

"""Stand-ins for what the core sees of the world: a clock, a shelf of tracks, a device's ear."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from audiostream.errors import TrackNotFound


class FakeClock:
    """Time that moves only when it is told to; float seconds."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class Shelf:
    """A catalogue of tracks with their durations, open to every user but for ``owned``."""

    durations: dict[str, float | None] = field(
        default_factory=lambda: {"song": 7200.0, "other": 7200.0, "short": 10.0, "endless": None}
    )
    owned: dict[str, str] = field(default_factory=dict)
    albums: dict[str, str] = field(default_factory=dict)

    def duration(self, user_id: str, track_id: str) -> float | None:
        if track_id not in self.durations or self.owned.get(track_id, user_id) != user_id:
            raise TrackNotFound("there is no such track")
        return self.durations[track_id]

    def same_album(self, user_id: str, track_id: str, other_id: str) -> bool:
        album = self.albums.get(track_id)
        return album is not None and album == self.albums.get(other_id)

    def describe(self, user_id: str, track_id: str) -> Mapping[str, Any]:
        self.duration(user_id, track_id)
        return {"id": track_id, "title": track_id.title()}


@dataclass(eq=False)
class Ear:
    """An outbox that keeps what a device was told, as (event, data, frame id)."""

    frames: list[tuple[str, dict[str, Any], Any]] = field(default_factory=list)

    def send_text(self, text: str) -> None:
        frame = json.loads(text)
        self.frames.append((frame["event"], frame["data"], frame.get("id")))

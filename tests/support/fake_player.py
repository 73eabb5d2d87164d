"""A client's device whose server is the test: what it sends is kept, what it receives is given."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from audiostream.client import Event, Player, ServerInfo, State, Track, Volume
from audiostream.client.event_queue import EventQueue
from audiostream.client.model import QueuePlace
from tests.support.fakes import FakeClock

NEVER_PLAYED = State(None, 0.0, None, False, 1.0, 0, None, 0, 0)


def track(name: str, ticket: str = "old") -> Track:
    return Track(name, name.title(), f"http://server/{name}?ticket={ticket}", duration=60.0)


class FakePlayer(Player):
    """The device ``kitchen``. ``sent`` are its commands and reports; ``raises``: once, by name."""

    def __init__(self, clock: FakeClock) -> None:
        self.device_id = "kitchen"
        self.server = ServerInfo("1", frozenset({"queue"}), 1.0)
        self.on_connect = lambda: None
        self.sent: list[dict[str, Any]] = []
        self.raises: dict[str, Exception] = {}
        self.last: State | None = None
        self.track: Track | None = None
        self.next_track: Track | None = None
        self._sounds = "active"
        self._clock = clock
        self._events = EventQueue()

    @property
    def is_connected(self) -> bool:
        return True

    def receive(
        self,
        name: str,
        current: Track | None,
        position: float = 0.0,
        *,
        is_playing: bool = True,
        next_track: Track | None = None,
        device_id: str | None = "kitchen",
        playback_rate: float = 1.0,
        is_new: bool = True,
    ) -> Event:
        """Receive an event of the room; ``is_new`` is one with another rev."""
        rev = (self.last.rev if self.last else 0) + is_new
        self.last = State(
            track_id=current.id if current else None,
            position=position,
            duration=60.0,
            is_playing=is_playing,
            playback_rate=playback_rate,
            rev=rev,
            device_id=device_id,
            updated_at=rev,
            server_time=0,
            queue=QueuePlace(0, 3),
            received=self._clock(),
        )
        if name in ("trackPlaying", "trackState"):
            self.track, self.next_track = current, next_track
        event = Event(name, self.last, current, next_track)
        self._events.put(event)
        return event

    def receive_queue(self, next_track: Track | None) -> None:
        assert self.last is not None
        self.last = replace(self.last, rev=self.last.rev + 1)
        self.next_track = next_track
        self._events.put(Event("queueUpdated", self.last, next_track=next_track))

    def receive_volume(self, volume: Volume) -> None:
        assert self.last is not None
        self._events.put(Event("volume", self.last, volume=volume))

    def named(self, name: str) -> list[dict[str, Any]]:
        """What was sent under a name."""
        return [each for each in self.sent if each["name"] == name]

    async def report(self, track_id: str, position: float, **more: Any) -> State | None:
        self._send("report", track_id=track_id, position=round(position, 3), **more)
        return self.last

    async def play(self, track_id: str, position: float | None = None, **more: Any) -> State:
        return self._send("play", track_id=track_id, position=position, **more)

    async def next(self, *, device_id: str | None = None, if_rev: int | None = None) -> State:
        return self._send("next", if_rev=if_rev)

    async def pause(
        self,
        track_id: str | None = None,
        position: float | None = None,
        *,
        device_id: str | None = None,
    ) -> State:
        return self._send("pause", track_id=track_id)

    async def update_device(self, **more: Any) -> list[Any]:
        self._send("device", **more)
        return []

    async def find_track(self, track_id: str) -> Track:
        self._send("find", track_id=track_id)
        return track(track_id, "fresh")

    def _send(self, name: str, **data: Any) -> State:
        self.sent.append({"name": name, **data})
        if (error := self.raises.pop(name, None)) is not None:
            raise error
        return self.last or NEVER_PLAYED

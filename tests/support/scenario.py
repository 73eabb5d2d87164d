"""One user's room on a fake clock, in which tests play scenarios by the names of the devices."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from audiostream.playback.commands import (
    PauseTrack,
    PlayTrack,
    Report,
    SetState,
    TransferPlayback,
)
from audiostream.playback.model import SYNC_TOLERANCE
from audiostream.protocol.decode import Command, GetCurrentState
from audiostream.protocol.encode import StateView
from audiostream.rooms.device import Device
from audiostream.rooms.registry import Registry
from audiostream.rooms.room import Room
from tests.support.fakes import FakeClock, FakeLibrary, RecordingSendQueue

USER = "ada"
REPORT_INTERVAL = 0.25
"""Seconds between two reports of a browser's ``timeupdate``, which comes at 4 Hz."""


@dataclass
class Scenario:
    """The devices of one user, on the real registry and the real rules."""

    tolerance: float = SYNC_TOLERANCE
    clock: FakeClock = field(default_factory=FakeClock)
    library: FakeLibrary = field(default_factory=FakeLibrary)

    def __post_init__(self) -> None:
        self.registry = Registry(self.library, self.clock, self.tolerance)
        self.devices: dict[str, Device] = {}
        self.send_queues: dict[str, RecordingSendQueue] = {}

    @property
    def room(self) -> Room:
        return self.registry.room(USER)

    @property
    def position(self) -> float:
        return self.room.state.position_at(self.clock.now)

    def connect(self, *names: str) -> None:
        for name in names:
            self.send_queues[name] = RecordingSendQueue()
            self.devices[name] = self.registry.connect(USER, self.send_queues[name], name)

    def disconnect(self, name: str) -> None:
        self.registry.disconnect(USER, self.devices.pop(name))

    def play(
        self, name: str | None, track: str = "song", at: float | None = None, **more: Any
    ) -> StateView:
        return self._apply(PlayTrack(track, at, **more), name)

    def pause(
        self, name: str | None, track: str = "song", at: float | None = None, **more: Any
    ) -> StateView:
        return self._apply(PauseTrack(track, at, **more), name)

    def set_state(self, at: float, playing: bool, track: str = "song") -> StateView:
        return self._apply(SetState(track, at, playing), None)

    def report(
        self, name: str, at: float, playing: bool = True, track: str = "song", **more: Any
    ) -> StateView:
        return self._apply(Report(track, at, playing, **more), name)

    def play_album(self, name: str | None, *tracks: str, index: int = 0) -> StateView:
        """Play a queue from its track at ``index``."""
        play = PlayTrack(tracks[index], 0.0, queue=tracks, queue_index=index)
        return self._apply(play, name)

    def command(self, name: str | None, command: Command) -> StateView:
        return self._apply(command, name)

    def transfer(
        self, name: str | None, device_id: str, play: bool | None = None, **more: Any
    ) -> StateView:
        return self._apply(TransferPlayback(device_id, play, **more), name)

    def get_state(self, name: str) -> StateView:
        return self._apply(GetCurrentState(), name)

    def wait(self, seconds: float) -> None:
        """Let time pass, with the server's housekeeping once a second."""
        whole, rest = divmod(seconds, 1.0)
        for _ in range(int(whole)):
            self.clock.advance(1.0)
            self.registry.housekeep()
        self.clock.advance(rest)

    def report_for(self, seconds: float, **offsets: float) -> None:
        """Let the named devices report at 4 Hz, each ``offset`` seconds off the state."""
        for _ in range(round(seconds / REPORT_INTERVAL)):
            self.clock.advance(REPORT_INTERVAL)
            for name, offset in offsets.items():
                state, at = self.room.state, max(0.0, self.position + offset)
                self.report(name, at, state.is_playing, state.track_id or "")

    def received(self, name: str) -> list[tuple[str, float]]:
        """Return what a device was sent since the last call, as (event, currentTime)."""
        frames = self.received_frames(name)
        return [(event, data.get("currentTime", -1.0)) for event, data, _ in frames]

    def received_frames(self, name: str) -> list[tuple[str, dict[str, Any], Any]]:
        """The same, as whole frames: (event, data, frame id)."""
        queue = self.send_queues[name]
        frames, queue.frames = queue.frames, []
        return frames

    def clear(self) -> None:
        """Forget what the devices were sent."""
        for queue in self.send_queues.values():
            queue.frames = []

    def _apply(self, command: Command | TransferPlayback, name: str | None) -> StateView:
        return self.room.view(
            self.room.apply(command, None if name is None else self.devices[name])
        )

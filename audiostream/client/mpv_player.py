"""Plays tracks with mpv without a gap: what is loaded, what follows, and what came of it.

mpv's playlist holds the current track and at most one that follows it. An entry of it has an id,
which tells the events of a track from those of another, also where one track follows itself.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from .model import Track, Volume
from .mpv_ipc import MpvConnection, MpvEvent
from .sound_plan import Action, Load, Seek, SetNext, SetPaused, SetRate, Sound, Stop

OBSERVED: Final = ("pause", "speed", "volume", "mute", "duration")
DURATION_TOLERANCE: Final = 1.0
"""Seconds by which mpv's duration of a file may miss where the file ended."""
MIN_SEEK: Final = 0.05
"""Seconds; a track that is to start before is started at its beginning."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ended:
    """A track has been played to its end, at ``position``.

    ``is_early``: mpv took the file for longer, so that its stream may have broken off.
    """

    track: Track
    position: float
    is_early: bool


@dataclass(frozen=True, slots=True)
class Failed:
    """A track could not be played."""

    track: Track
    reason: str


@dataclass(frozen=True, slots=True)
class Changed:
    """The track started, or it, the pause, the rate or the volume have changed."""


Happening = Ended | Failed | Changed


class MpvPlayer:
    """The sound of one mpv. ``clock`` returns monotonic seconds.

    ``track`` and ``next_track`` are None if there is none; ``is_settled`` is False until a load or
    a seek has come to sound.
    """

    def __init__(
        self, connection: MpvConnection, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.track: Track | None = None
        self.next_track: Track | None = None
        self.is_settled = False
        self.is_paused = False
        self.playback_rate = 1.0
        self.volume = Volume()
        self._mpv = connection
        self._clock = clock
        self._tracks: dict[int, Track] = {}
        self._entry: int | None = None
        self._next_entry: int | None = None
        self._duration: float | None = None
        self._known_position, self._known_at = 0.0, 0.0

    async def prepare(self, volume: Volume) -> None:
        """Set the volume as far as it is given, and ask for events. Call first."""
        await self.set_volume(volume)
        await self._mpv.observe(*OBSERVED)

    async def set_volume(self, volume: Volume) -> None:
        """Set what is given; mpv reports it by an event."""
        if volume.volume is not None:
            await self._mpv.set("volume", round(volume.volume * 100, 2))
        if volume.muted is not None:
            await self._mpv.set("mute", volume.muted)

    def estimated_position(self) -> float:
        """Return the position of now without asking mpv."""
        elapsed = 0.0 if self.is_paused else self._clock() - self._known_at
        return self._known_position + elapsed * self.playback_rate

    async def position(self) -> float:
        """Return the position; while a load or a seek is under way what it leads to."""
        entry = self._entry
        if self.is_settled:
            found = await self._mpv.get("time-pos")
            if found is not None and self.is_settled and self._entry == entry:
                # Before 0 while the end of the track before is still heard.
                self._know(max(0.0, float(found)))
        return self.estimated_position()

    async def sound(self) -> Sound:
        """Return what ``plan`` compares."""
        return Sound(
            track_id=None if self.track is None else self.track.id,
            position=await self.position(),
            is_paused=self.is_paused,
            playback_rate=self.playback_rate,
            next_track_id=None if self.next_track is None else self.next_track.id,
        )

    async def apply(self, action: Action) -> None:
        """Carry out one action of a plan."""
        match action:
            case Stop():
                _log.info("stops")
                self._forget()
                await self._mpv.command("stop")
            case Load(track, position):
                await self._load(track, position)
            case Seek(position):
                await self._seek(position)
            case SetPaused(is_paused):
                self._know(self.estimated_position())
                self.is_paused = is_paused
                await self._mpv.set("pause", is_paused)
            case SetRate(playback_rate):
                self._know(self.estimated_position())
                self.playback_rate = playback_rate
                await self._mpv.set("speed", playback_rate)
            case SetNext(track):
                await self._set_next(track)

    async def handle_event(self, event: MpvEvent) -> Happening | None:
        """Note what mpv reports, and return what that means."""
        match event:
            case {"event": "end-file", "playlist_entry_id": entry, "reason": reason}:
                return self._on_end(entry, reason, str(event.get("file_error", "")))
            case {"event": "start-file", "playlist_entry_id": entry} if entry != self._entry:
                self._on_gone_over(entry)
            case {"event": "playback-restart"} if self.track is not None:
                self._duration = await self._mpv.get("duration")
                self._know(self._known_position)
                self.is_settled = True
                return Changed()
            case {"event": "property-change", "name": name}:
                return await self._on_property(name, event.get("data"))
        return None

    async def _load(self, track: Track, position: float) -> None:
        _log.info("plays %s from %.1f s", track.title, position)
        self._forget()
        options = {"start": f"{position:.3f}"} if position > MIN_SEEK else {}
        added = await self._mpv.call(
            "loadfile", url=track.stream_url, flags="replace", options=options
        )
        self._entry = added["playlist_entry_id"]
        self._tracks = {added["playlist_entry_id"]: track}
        self.track = track
        self._know(position)

    async def _seek(self, position: float) -> None:
        if self.track is not None and not self.is_settled:  # mpv refuses to seek in what it opens
            track, next_track = self.track, self.next_track
            await self._load(track, position)
            await self._set_next(next_track)
            return
        self.is_settled = False
        self._know(position)
        await self._mpv.command("seek", position, "absolute+exact")

    async def _set_next(self, track: Track | None) -> None:
        self.next_track, self._next_entry = track, None
        await self._mpv.command("playlist-clear")  # of all but the current track
        if track is not None:
            # Of an mpv that is idle, as the current track has ended just now, this is played.
            added = await self._mpv.call("loadfile", url=track.stream_url, flags="append-play")
            self._next_entry = added["playlist_entry_id"]
            self._tracks[added["playlist_entry_id"]] = track

    def _on_end(self, entry: int, reason: str, file_error: str) -> Happening | None:
        track = self.track
        if entry != self._entry or track is None or reason not in ("eof", "error"):
            return None
        position, duration = self.estimated_position(), self._duration
        was_settled = self.is_settled
        self.track, self._entry, self.is_settled, self._duration = None, None, False, None
        if self._next_entry is not None:
            # Its start-file may come later than the server's answer to the end of this one.
            self._on_gone_over(self._next_entry)
        if reason == "error" or not was_settled:
            return Failed(track, file_error or "it ended before it began")
        # mpv ends a file when its last samples are buffered, and these last longer at a high rate.
        margin = DURATION_TOLERANCE * max(1.0, self.playback_rate)
        if duration is None or position > duration + margin:
            return Ended(track, position, is_early=False)
        is_early = position < duration - margin
        return Ended(track, position if is_early else duration, is_early)

    def _on_gone_over(self, entry: int) -> None:
        if (track := self._tracks.get(entry)) is not None:
            _log.info("goes on with %s", track.title)
            self.track, self._entry, self.next_track = track, entry, None
            self._next_entry = None
            self.is_settled = False
            self._know(0.0)

    async def _on_property(self, name: str, value: Any) -> Happening | None:
        if name in ("pause", "speed"):  # the event may be older than what was set since
            value = await self._mpv.get(name)
        match name, value:
            case "pause", bool() if value != self.is_paused:
                self._know(self.estimated_position())
                self.is_paused = value
            case "speed", int() | float() if value != self.playback_rate:
                self._know(self.estimated_position())
                self.playback_rate = float(value)
            case "volume", int() | float():
                self.volume = Volume(round(value / 100, 4), self.volume.muted)
            case "mute", bool():
                self.volume = Volume(self.volume.volume, value)
            case "duration", _:
                self._duration = value
                return None
            case _:
                return None
        return Changed()

    def _know(self, position: float) -> None:
        self._known_position, self._known_at = position, self._clock()

    def _forget(self) -> None:
        self.track = self.next_track = self._entry = self._next_entry = self._duration = None
        self._tracks = {}
        self.is_settled = False
        self._know(0.0)

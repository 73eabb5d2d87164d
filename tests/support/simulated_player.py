"""A simulated player with its user, for fake clocks and for real ones, and the frames it sends.

A player does what the specification's browser client does: it seeks to the position of whatever
state it is sent, echoes that as a report, and reports four times a second while it plays. With
``follows_state`` it is another client: it applies the whole state, echoes nothing, and reports once
a second.
"""

from __future__ import annotations

import random
from dataclasses import fields
from typing import Any

from audiostream.playback import commands
from audiostream.playback.commands import PauseTrack, PlayTrack, Report
from audiostream.protocol.decode import Command, GetCurrentState

REPORT_INTERVAL = 0.25
"""Seconds between two reports of a browser's ``timeupdate``, which comes at 4 Hz."""
TRACKS = ("song", "other")
EVENTS = {
    PlayTrack: "playTrack",
    PauseTrack: "pauseTrack",
    Report: "updateStreaming",
    GetCurrentState: "getCurrentState",
    commands.SetQueue: "setQueue",
    commands.SetRepeat: "setRepeat",
    commands.ShuffleQueue: "shuffleQueue",
    commands.NextTrack: "nextTrack",
    commands.PreviousTrack: "previousTrack",
    commands.TransferPlayback: "transferPlayback",
}


class SimulatedPlayer:
    """A client with an audio element, and its user. Subclasses have the clock and the connection.

    Times are in seconds of ``now``.
    """

    track: str | None = None
    playing: bool = False
    anchor: float = 0.0
    anchored_at: float = 0.0
    stalled_until: float = 0.0

    @property
    def now(self) -> float:
        raise NotImplementedError

    @property
    def random(self) -> random.Random:
        raise NotImplementedError

    @property
    def follows_state(self) -> bool:
        return False

    def send(self, command: Command) -> None:
        """Send to the server, or lose it where there is no connection."""
        raise NotImplementedError

    def stopped_elsewhere(self, track: str | None, is_playing: bool) -> bool:
        """Whether it is paused on another track while nothing plays (R18).

        The specification's client sets its source only when something plays.
        """
        return not (self.follows_state or self.playing or is_playing) and self.track != track

    @property
    def position(self) -> float:
        now = self.now
        going = self.playing and now > self.stalled_until
        since = max(self.anchored_at, self.stalled_until)
        return self.anchor + (now - since if going else 0.0)

    def _receive(self, frame: dict[str, Any]) -> None:
        state = frame["data"]
        if state["trackId"] is None:
            return
        if self.follows_state:
            self.track = state["trackId"]
            self._move(state["currentTime"], state["isPlaying"])
            return
        match frame["event"]:
            case "trackPlaying":
                self.track = state["trackId"]
                self._move(state["currentTime"], True)
            case "trackState" if state["isPlaying"]:
                self.track = state["trackId"]
                self._move(state["currentTime"], True)
            case "trackPaused":
                self._move(self.position, False)
            case "trackUpdated":
                self._move(state["currentTime"], state["isPlaying"])
        self.report()

    def _move(self, position: float, playing: bool) -> None:
        self.anchor, self.anchored_at, self.playing = position, self.now, playing
        self.stalled_until = 0.0

    def report(self) -> None:
        if self.track is not None:
            self.send(Report(self.track, self.position, self.playing))

    def report_regularly(self, *, reports_paused: bool = False) -> None:
        """Report as ``timeupdate`` does; a player that stalls is silent."""
        if (self.playing or reports_paused) and self.now >= self.stalled_until:
            self.report()

    # What users do.

    def press_play(self) -> None:
        self.send(PlayTrack(self.track or TRACKS[0]))

    def choose(self) -> None:
        self.send(PlayTrack(self.random.choice(TRACKS), 0.0))

    def press_pause(self) -> None:
        if self.track is not None:
            self.send(PauseTrack(self.track, self.position))

    def seek(self) -> None:
        if self.track is not None:
            self._move(self.random.uniform(0.0, 600.0), self.playing)
            self.report()

    def toggle(self) -> None:
        """Play or pause in the element's own controls."""
        if self.track is not None:
            self._move(self.position, not self.playing)
            self.report()

    def stall(self) -> None:
        if self.playing:
            self.anchor, self.anchored_at = self.position, self.now
            self.stalled_until = self.now + self.random.uniform(0.5, 5.0)


def frame_of(command: Command) -> dict[str, Any]:
    """Return a command as a frame of the WebSocket, without an id."""
    given = {each.name: getattr(command, each.name) for each in fields(command)}
    data = {_camel(name): value for name, value in given.items() if value is not None}
    return {"event": EVENTS[type(command)], "data": data}


def _camel(name: str) -> str:
    """Return the name of a field in frames: ``trackId`` of ``track_id``."""
    first, *rest = ("current_time" if name == "position" else name).split("_")
    return first + "".join(word.capitalize() for word in rest)

"""Simulated players whose tracks have ends: a headless one, and the specification's client."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from audiostream.playback.commands import PlayTrack, Report
from audiostream.protocol.decode import GetCurrentState
from tests.support.simulation import Network, Player, Simulation


@dataclass(eq=False)
class EndingPlayer(Player):
    """The specification's client, whose audio element pauses at the end of a track and says so."""

    started: list[str] = field(default_factory=list)
    """The tracks of the ``trackPlaying`` events that it has received."""
    _moves: int = 0

    @property
    def duration(self) -> float:
        return self.simulation.library.durations[self.track or ""] or 0.0

    @property
    def position(self) -> float:
        position = super().position
        return position if self.track is None else min(position, self.duration)

    def _move(self, position: float, playing: bool) -> None:
        super()._move(position, playing)
        self._moves += 1
        if playing:
            left = max(0.0, self.duration - position)
            self.simulation.after(left, self._end, self._moves)

    def _end(self, move: int) -> None:
        if move == self._moves and self.playing:
            super()._move(self.duration, False)
            self.report_end()

    def report_end(self) -> None:
        self.report()
        self.report()  # timeupdate, pause

    def _receive(self, frame: dict[str, Any]) -> None:
        if "trackIds" in frame["data"]:
            return
        if frame["event"] == "trackPlaying":
            self.started.append(frame["data"]["trackId"])
        super()._receive(frame)


@dataclass(eq=False)
class HeadlessPlayer(EndingPlayer):
    """A player that applies the whole state, reports once a second, and reports ends as such."""

    def report_end(self) -> None:
        self.send(Report(self.track or "", self.position, False, ended=True))

    def _receive(self, frame: dict[str, Any]) -> None:
        state = frame["data"]
        if "trackIds" in state or state["trackId"] is None:
            return
        if frame["event"] == "trackPlaying":
            self.started.append(state["trackId"])
        self.track = state["trackId"]
        self._move(state["currentTime"], state["isPlaying"])


class AlbumSimulation(Simulation):
    """A headless player that plays a queue, and further players that follow."""

    def __init__(
        self, seed: int, network: Network, tracks: int, seconds: float, followers: int = 1
    ) -> None:
        super().__init__(seed, network, players=0)
        self.tracks = tuple(f"track {number}" for number in range(tracks))
        self.library.durations = dict.fromkeys(self.tracks, seconds)
        self.headless = HeadlessPlayer(self, "headless")
        self.followers = [EndingPlayer(self, f"page{number}") for number in range(followers)]
        self.players = [self.headless, *self.followers]
        for player in self.players:
            player.connect()
        self.run(2.0)

    def play(self) -> None:
        """Let the headless player start the queue."""
        self.headless.send(PlayTrack(self.tracks[0], 0.0, queue=self.tracks))

    def join(self) -> HeadlessPlayer:
        """Let another headless player connect."""
        player = HeadlessPlayer(self, f"headless{len(self.players)}")
        self.players.append(player)
        player.connect()
        player.send(GetCurrentState())
        return player

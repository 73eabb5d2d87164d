"""A user's room on a bad network: echoing players, each with people at it.

A simulated player does what the specification's browser client does: it seeks to whatever it is
told, reports that at once, and reports four times a second while it plays; a chatty one goes on
reporting while it is paused. The network delays each message by a random time, in order for each
device and direction, as TCP does.
"""

from __future__ import annotations

import heapq
import json
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Any

from audiostream.errors import Conflict
from audiostream.playback.rules import State
from audiostream.protocol.messages import Command, GetCurrentState, PauseTrack, PlayTrack, Report
from audiostream.rooms.registry import Device, Registry, Room
from audiostream.websocket.delayed_reports import GAP, DelayedReports
from tests.support.fakes import FakeClock, Shelf

USER = "ada"
REPORT_EVERY = 0.25
TRACKS = ("song", "other")


@dataclass(frozen=True)
class Network:
    """One-way delays in seconds, drawn evenly between the two."""

    fastest: float
    slowest: float


BAD = Network(0.01, 0.8)
QUIET = Network(0.005, 0.03)


class World:
    """Time, the network, the server's registry, and the players."""

    def __init__(
        self,
        seed: int,
        network: Network,
        players: int = 3,
        *,
        chatty: bool = False,
        obedient: bool = False,
    ) -> None:
        self.chatty = chatty
        self.obedient = obedient
        self.random = random.Random(seed)  # noqa: S311 - repeatable on purpose
        self.network = network
        self.clock = FakeClock(1_000.0)
        self.shelf = Shelf()
        self.registry = Registry(self.shelf, self.clock)
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self.players = [Player(self, f"player{number}") for number in range(players)]
        for player in self.players:
            player.connect()
        self.after(1.0, self._look_after)

    @property
    def room(self) -> Room:
        return self.registry.room(USER)

    def after(self, delay: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (self.clock.now + delay, next(self._order), act))

    def run(self, seconds: float) -> None:
        until = self.clock.now + seconds
        while self._agenda and self._agenda[0][0] <= until:
            moment, _, act = heapq.heappop(self._agenda)
            self.clock.now = moment
            act()
        self.clock.now = until

    def _look_after(self) -> None:
        self.registry.settle()
        self.after(1.0, self._look_after)

    def disagreement(self, apart: float) -> str | None:
        """In what the server and the players differ, None where they agree."""
        state = self.room.state
        here = [player for player in self.players if not player.stopped_elsewhere(state)]
        for player in here:
            if (player.track, player.playing) != (state.track_id, state.is_playing):
                return f"{player.name} has {player.track} playing={player.playing}, not {state}"
        positions = [player.position for player in here]
        positions.append(state.position_at(self.clock.now))
        return f"positions {positions}" if max(positions) - min(positions) > apart else None

    def start(self) -> None:
        """Let everybody connect, one person choose a track, and everybody settle."""
        self.run(1.0)
        self.players[0].choose()
        self.run(10.0)

    def burst(self) -> None:
        """Up to four acts of people within a few seconds."""
        for _ in range(self.random.randint(1, 4)):
            self.random.choice(self.players).act()
            self.run(self.random.uniform(0.0, 1.5))

    def forget(self) -> None:
        """Begin to count anew what the players are told."""
        for player in self.players:
            player.told.clear()

    @property
    def most_told(self) -> int:
        """How many messages the player that was told most has been told."""
        return max(len(player.told) for player in self.players)


@dataclass(eq=False)
class Line:
    """One direction of one connection: late, but in order, and silent once it is cut."""

    world: World
    busy_until: float = 0.0
    held_until: float = 0.0
    cut: bool = False

    def send(self, deliver: Callable[[], None]) -> None:
        network, now = self.world.network, self.world.clock.now
        delay = self.world.random.uniform(network.fastest, network.slowest)
        self.busy_until = max(self.busy_until, now + delay, self.held_until)
        self.world.after(self.busy_until - now, lambda: None if self.cut else deliver())


class Door:
    """The server's end of one connection: what arrives is handled as the gateway does."""

    def __init__(
        self, world: World, device: Device, ping: Callable[[Callable[[], None]], None]
    ) -> None:
        self._world = world
        self._device = device
        self._late = DelayedReports(world.room, device, ping)
        self._heard_at = world.clock.now

    def arrive(self, command: Command) -> None:
        now = self._world.clock.now
        if now - self._heard_at > GAP:
            self._late.on_gap()
        self._heard_at = now
        if isinstance(command, Report) and self._late.is_after_gap:
            self._late.hold(partial(self._perform, command))
            return
        if not isinstance(command, Report | GetCurrentState):
            self._late.discard()
        self._perform(command)
        self._late.mark_handled()

    def _perform(self, command: Command) -> None:
        if self._device.ref.key in self._world.room.devices:
            with suppress(Conflict):  # pausing a track that is no longer current
                self._world.room.perform(command, self._device)


@dataclass(eq=False)
class Player:
    """An echoing client with an audio element, and a person's hands on it."""

    world: World
    name: str
    track: str | None = None
    playing: bool = False
    anchor: float = 0.0
    anchored_at: float = 0.0
    stalled_until: float = 0.0
    told: list[dict[str, Any]] = field(default_factory=list)
    device: Device | None = None

    def __post_init__(self) -> None:
        self.world.after(self.world.random.uniform(0, REPORT_EVERY), self._tick)

    def stopped_elsewhere(self, state: State) -> bool:
        """Whether it is paused on another track while nothing plays: it sets its source where
        something plays alone.
        """
        return not (self.world.obedient or self.playing or state.is_playing) and (
            self.track != state.track_id
        )

    @property
    def position(self) -> float:
        now = self.world.clock.now
        going = self.playing and now > self.stalled_until
        since = max(self.anchored_at, self.stalled_until)
        return self.anchor + (now - since if going else 0.0)

    def connect(self) -> None:
        """Open a socket and ask for the state, as the specification's client would."""
        self._open()
        self.send(GetCurrentState())

    def _open(self, held_until: float = 0.0) -> None:
        self.up = Line(self.world, held_until=held_until)
        self.down = Line(self.world, held_until=held_until)
        self.device = self.world.registry.connect(USER, self, self.name)
        self.door = Door(self.world, self.device, self._ping)

    def _ping(self, answered: Callable[[], None]) -> None:
        """The ping goes behind all that was told, the pong behind all that was said."""
        up, device = self.up, self.device
        self.down.send(lambda: up.send(answered) if device is self.device else None)

    def hold(self, seconds: float) -> None:
        """The network delivers nothing, and then all at once; nobody gives the connection up."""
        self.up.held_until = self.down.held_until = self.world.clock.now + seconds

    def lose_held_connection(self, given_up_after: float, seconds: float) -> None:
        """The same, but the client gives up, and comes back when the network does.

        What it sent until then is delivered late, and only then the server sees the end.
        """
        self.hold(seconds)
        lost, up, down = self.device, self.up, self.down
        assert lost is not None

        def give_up() -> None:
            self.device, down.cut = None, True
            up.send(lambda: self.world.registry.disconnect(USER, lost))

        self.world.after(given_up_after, give_up)
        self.world.after(seconds + self.world.random.uniform(0.1, 1.0), self._open)

    def lose_connection(self, noticed_after: float) -> Callable[[], None]:
        """Cut the network without a word; the server notices later. Answers how to come back.

        A client that comes back asks for nothing: it goes on reporting what it plays.
        """
        assert self.device is not None
        self.up.cut = self.down.cut = True
        lost, self.device = self.device, None
        self.world.after(noticed_after, lambda: self.world.registry.disconnect(USER, lost))

        def come_back() -> None:
            self._open()

        return come_back

    def reconnect(self) -> None:
        assert self.device is not None
        self.up.cut = self.down.cut = True
        self.world.registry.disconnect(USER, self.device)
        self.world.after(self.world.random.uniform(0.1, 2.0), self.connect)
        self.device = None

    def send_text(self, text: str) -> None:
        """The server's side of the socket: what is told leaves for the player."""
        frame = json.loads(text)
        self.told.append(frame)
        self.down.send(lambda: self._hear(frame))

    def send(self, command: Command) -> None:
        door = self.door
        if self.device is not None and not self.up.cut:
            self.up.send(lambda: door.arrive(command))

    def _hear(self, frame: dict[str, Any]) -> None:
        state = frame["data"]
        if state["trackId"] is None:
            return
        if self.world.obedient:
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
        self.anchor, self.anchored_at, self.playing = position, self.world.clock.now, playing
        self.stalled_until = 0.0

    def report(self) -> None:
        if self.track is not None:
            self.send(Report(self.track, self.position, self.playing))

    def _tick(self) -> None:
        going = self.playing or self.world.chatty
        if going and self.world.clock.now >= self.stalled_until:
            self.report()
        self.world.after(1.0 if self.world.obedient else REPORT_EVERY, self._tick)

    # What a person does.

    def press_play(self) -> None:
        self.send(PlayTrack(self.track or TRACKS[0]))

    def choose(self) -> None:
        self.send(PlayTrack(self.world.random.choice(TRACKS), 0.0))

    def press_pause(self) -> None:
        if self.track is not None:
            self.send(PauseTrack(self.track, self.position))

    def seek(self) -> None:
        if self.track is not None:
            self._move(self.world.random.uniform(0.0, 600.0), self.playing)
            self.report()

    def toggle(self) -> None:
        """Play or pause in the element's own controls."""
        if self.track is not None:
            self._move(self.position, not self.playing)
            self.report()

    def stall(self) -> None:
        if self.playing:
            self.anchor, self.anchored_at = self.position, self.world.clock.now
            self.stalled_until = self.world.clock.now + self.world.random.uniform(0.5, 5.0)

    def act(self) -> None:
        acts = (self.press_play, self.choose, self.press_pause, self.seek, self.toggle, self.stall)
        if self.device is None:
            return
        self.world.random.choice((*acts, self.reconnect))()

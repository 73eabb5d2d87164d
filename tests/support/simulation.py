"""One user's room on a bad network, with simulated players whose users act at random.

With ``reports_paused`` the players of ``simulated_player`` report while they are paused, too. The
network delays each message by a random time, in order for each device and direction, as TCP does.
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
from audiostream.playback.commands import Report
from audiostream.protocol.decode import Command, GetCurrentState
from audiostream.rooms.device import Device
from audiostream.rooms.registry import Registry
from audiostream.rooms.room import Room
from audiostream.websocket.delayed_reports import GAP, DelayedReports
from tests.support.fakes import FakeClock, FakeLibrary
from tests.support.simulated_player import REPORT_INTERVAL, SimulatedPlayer

USER = "ada"


@dataclass(frozen=True)
class Network:
    """One-way delays in seconds, drawn evenly between the two."""

    fastest: float
    slowest: float


BAD = Network(0.01, 0.8)
QUIET = Network(0.005, 0.03)


class Simulation:
    """The clock, the network, the server's registry, and the players of one user."""

    def __init__(
        self,
        seed: int,
        network: Network,
        players: int = 3,
        *,
        reports_paused: bool = False,
        follows_state: bool = False,
    ) -> None:
        self.reports_paused = reports_paused
        self.follows_state = follows_state
        self.random = random.Random(seed)  # noqa: S311 - repeatable on purpose
        self.network = network
        self.clock = FakeClock(1_000.0)
        self.library = FakeLibrary()
        self.registry = Registry(self.library, self.clock)
        self._timers: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._order = count()
        self.players = [Player(self, f"player{number}") for number in range(players)]
        for player in self.players:
            player.connect()
        self.after(1.0, self._housekeep)

    @property
    def room(self) -> Room:
        return self.registry.room(USER)

    def after(self, delay: float, act: Callable[..., None], *args: Any) -> None:
        heapq.heappush(self._timers, (self.clock.now + delay, next(self._order), act, args))

    def run(self, seconds: float) -> None:
        timers, until = self._timers, self.clock.now + seconds
        while timers and timers[0][0] <= until:
            self.clock.now, _, act, args = heapq.heappop(timers)
            act(*args)
        self.clock.now = until

    def _housekeep(self) -> None:
        self.registry.housekeep()
        self.after(1.0, self._housekeep)

    def disagreement(self, apart: float) -> str | None:
        """Return in what the server and the players differ, None where they agree."""
        state = self.room.state
        here = [
            player
            for player in self.players
            if not player.stopped_elsewhere(state.track_id, state.is_playing)
        ]
        for player in here:
            if (player.track, player.playing) != (state.track_id, state.is_playing):
                return f"{player.name} has {player.track} playing={player.playing}, not {state}"
        positions = [player.position for player in here]
        positions.append(state.position_at(self.clock.now))
        return f"positions {positions}" if max(positions) - min(positions) > apart else None

    def start(self) -> None:
        """Let everybody connect, one user choose a track, and everybody settle."""
        self.run(1.0)
        self.players[0].choose()
        self.run(10.0)

    def act_at_random(self) -> None:
        """Let users act up to four times within a few seconds."""
        for _ in range(self.random.randint(1, 4)):
            self.random.choice(self.players).act()
            self.run(self.random.uniform(0.0, 1.5))

    def reset_counts(self) -> None:
        """Forget what the players have received."""
        for player in self.players:
            player.received.clear()

    @property
    def most_received(self) -> int:
        """How many messages the player that received most has received."""
        return max(len(player.received) for player in self.players)


@dataclass(eq=False)
class Link:
    """One direction of one connection: late, but in order; once it is cut, nothing arrives."""

    simulation: Simulation
    busy_until: float = 0.0
    held_until: float = 0.0
    is_cut: bool = False

    def send(self, deliver: Callable[..., None], *args: Any) -> None:
        simulation, network = self.simulation, self.simulation.network
        now, delay = (
            simulation.clock.now,
            simulation.random.uniform(network.fastest, network.slowest),
        )
        self.busy_until = max(self.busy_until, now + delay, self.held_until)
        simulation.after(self.busy_until - now, self._deliver, deliver, args)

    def _deliver(self, deliver: Callable[..., None], args: tuple[Any, ...]) -> None:
        if not self.is_cut:
            deliver(*args)


class ServerEnd:
    """The server's end of one connection, which handles what arrives as the gateway does."""

    def __init__(
        self, simulation: Simulation, device: Device, ping: Callable[[Callable[[], None]], None]
    ) -> None:
        self._clock, self._room, self._device = simulation.clock, simulation.room, device
        self._delayed_reports = DelayedReports(self._room, device, ping)
        self._received_at = self._clock.now

    def arrive(self, command: Command) -> None:
        now = self._clock.now
        if now - self._received_at > GAP:
            self._delayed_reports.on_gap()
        self._received_at = now
        if isinstance(command, Report):
            if self._delayed_reports.is_after_gap:
                self._delayed_reports.hold(partial(self.apply, command))
                return
        elif not isinstance(command, GetCurrentState):
            self._delayed_reports.discard()
        self.apply(command)
        self._delayed_reports.mark_handled()

    def apply(self, command: Command) -> None:
        if self._device.ref.key in self._room.devices:
            with suppress(Conflict):  # pausing a track that is no longer current
                self._room.apply(command, self._device)


@dataclass(eq=False)
class Player(SimulatedPlayer):
    """A player whose clock and network are those of a simulation."""

    simulation: Simulation
    name: str
    received: list[dict[str, Any]] = field(default_factory=list)
    device: Device | None = None

    def __post_init__(self) -> None:
        self.simulation.after(self.random.uniform(0, REPORT_INTERVAL), self._tick)

    @property
    def now(self) -> float:
        return self.simulation.clock.now

    @property
    def random(self) -> random.Random:
        return self.simulation.random

    @property
    def follows_state(self) -> bool:
        return self.simulation.follows_state

    def connect(self) -> None:
        """Open a socket and ask for the state, as the specification's client would."""
        self._open()
        self.send(GetCurrentState())

    def _open(self, held_until: float = 0.0) -> None:
        self.up = Link(self.simulation, held_until=held_until)
        self.down = Link(self.simulation, held_until=held_until)
        self.device = self.simulation.registry.connect(USER, self, self.name)
        self.server_end = ServerEnd(self.simulation, self.device, self._ping)

    def _ping(self, answered: Callable[[], None]) -> None:
        """Send a ping behind all that was sent, and its pong behind all that was reported."""
        up, device = self.up, self.device
        self.down.send(lambda: up.send(answered) if device is self.device else None)

    def hold(self, seconds: float) -> None:
        """Let the network deliver nothing for a while, then all at once; nobody disconnects."""
        self.up.held_until = self.down.held_until = self.simulation.clock.now + seconds

    def lose_held_connection(self, given_up_after: float, seconds: float) -> None:
        """The same, but the client gives up, and reconnects when the network is back.

        What it sent until then is delivered late, and only then the server sees the disconnect.
        """
        self.hold(seconds)
        lost, up, down = self.device, self.up, self.down
        assert lost is not None

        def give_up() -> None:
            self.device, down.is_cut = None, True
            up.send(lambda: self._disconnect(lost))

        self.simulation.after(given_up_after, give_up)
        self.simulation.after(seconds + self.simulation.random.uniform(0.1, 1.0), self._open)

    def lose_connection(self, noticed_after: float) -> Callable[[], None]:
        """Cut the network; the server notices later. Return how to reconnect.

        A client that reconnects does not ask for the state: it goes on reporting what it plays.
        """
        assert self.device is not None
        self.up.is_cut = self.down.is_cut = True
        lost, self.device = self.device, None
        self.simulation.after(noticed_after, lambda: self._disconnect(lost))

        return self._open

    def _disconnect(self, device: Device) -> None:
        self.simulation.registry.disconnect(USER, device)

    def reconnect(self) -> None:
        assert self.device is not None
        self.up.is_cut = self.down.is_cut = True
        self._disconnect(self.device)
        self.simulation.after(self.simulation.random.uniform(0.1, 2.0), self.connect)
        self.device = None

    def send_text(self, text: str) -> None:
        """Send what the server sends to this device over the network."""
        frame = json.loads(text)
        self.received.append(frame)
        self.down.send(self._receive, frame)

    def send(self, command: Command) -> None:
        if self.device is not None and not self.up.is_cut:
            self.up.send(self.server_end.arrive, command)

    def _tick(self) -> None:
        self.report_regularly(reports_paused=self.simulation.reports_paused)
        self.simulation.after(1.0 if self.follows_state else REPORT_INTERVAL, self._tick)

    def act(self) -> None:
        acts = (self.press_play, self.choose, self.press_pause, self.seek, self.toggle, self.stall)
        if self.device is None:
            return
        self.random.choice((*acts, self.reconnect))()

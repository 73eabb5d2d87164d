"""Frames: reports absorbed, commands fanned out, and how long an answer takes at half load.

A round is what a player's page does four times a second: a report, and a look at the state with
an ``id``. Our server absorbs the report; the Socket.IO servers tell it to the room, as the
literal reading of their clients wants it, so that a round brings two frames there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from . import servers
from .clients import Frames, Load, clocked, closing, converse, paced, text_frame
from .contest import BESIDE, OURS, Contest
from .measure import Row, Spread, Target, percentile
from .media import first_track, one_track
from .servers import Server

WINDOW = 0.3
"""Seconds of one turn; under the tolerance, so that one report agrees all the time."""
USERS = 32
ROOMS = 4
"""Rooms that are sent something at the same time."""
OPEN_PER_ROOM = 4
"""Commands of a room that are under way at the same time."""
ECHO, BROADCAST, PYTHON, NODE = "echo", "broadcast", "python-socketio", "Node socket.io"
BARE = "bare parser"
FLOORS = (ECHO, BARE)
"""They ignore what they are sent, and answer nothing but questions."""
REPORT_TARGETS = {
    1: {ECHO: Target(0.8), NODE: Target(1.0), BESIDE: Target(0.8)},
    20: {ECHO: Target(0.8), NODE: Target(1.0), BESIDE: Target(0.9)},
}
FAN_OUT_TARGETS = {8: {BROADCAST: Target(0.7), NODE: Target(1.0), BESIDE: Target(0.9)}}


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a server wants its frames, and how many it answers a round with."""

    path: Callable[[str], str]
    frame: Callable[..., bytes]
    hello: Callable[[str], bytes] | None = None
    per_round: int = 1

    def connect(self, server: Server, user: str) -> Frames:
        line = Frames.open(server, self.path(user), user)
        if self.hello is not None:  # Engine.IO opens, then Socket.IO connects to a namespace
            line.send(self.hello(user))
            line.wait_for(2)
        return line

    def round(self, track_id: str, position: float) -> bytes:
        return self.report(track_id, position) + self.question()

    def report(self, track_id: str, position: float, is_playing: bool = True) -> bytes:
        where = {"trackId": track_id, "currentTime": position, "isPlaying": is_playing}
        return self.frame("updateStreaming", where)

    def question(self) -> bytes:
        """A question for the state, which one frame answers."""
        return self.frame("getCurrentState", None, 1)

    def play(self, track_id: str) -> bytes:
        return self.frame("playTrack", {"trackId": track_id, "currentTime": 10.0})


def _native(event: str, data: object = None, frame_id: int | None = None) -> bytes:
    frame = {"event": event, "data": data, "id": frame_id}
    return text_frame(json.dumps({name: each for name, each in frame.items() if each is not None}))


def _socketio(event: str, data: object = None, frame_id: int | None = None) -> bytes:
    return text_frame("42" + json.dumps([event] if data is None else [event, data]))


NATIVE = Dialect(lambda user: "/ws", _native)
DIALECTS = {
    OURS: NATIVE,
    BESIDE: NATIVE,
    ECHO: NATIVE,
    BARE: NATIVE,
    BROADCAST: Dialect(lambda user: f"/ws?room={user}", _native),
    PYTHON: Dialect(
        lambda user: "/socket.io/?EIO=4&transport=websocket",
        _socketio,
        lambda user: text_frame("40" + json.dumps({"userId": user})),
        per_round=2,
    ),
}
DIALECTS[NODE] = DIALECTS[PYTHON]


def measure(folder: Path, rounds: int) -> Iterator[Row]:
    """Rows for reports, latency and fan-out."""
    yield from _reports(folder, rounds)
    yield from _commands(folder, rounds)


def _contest(stack: ExitStack, folder: Path, floor: str) -> tuple[Contest, str]:
    contest = Contest(stack)
    contest.add_ours(folder, one_track(folder))
    contest.add(floor, lambda: servers.python(floor, folder))
    contest.add(PYTHON, lambda: servers.python("socketio_server", folder))
    contest.add(NODE, lambda: servers.node(folder))
    return contest, first_track(contest.servers[OURS])["id"]


def _reports(folder: Path, rounds: int) -> Iterator[Row]:
    with ExitStack() as stack:
        contest, track_id = _contest(stack, folder, ECHO)
        contest.add(BARE, lambda: servers.python("bare", folder))
        half_load: dict[str, float] = {}
        for window, targets in REPORT_TARGETS.items():

            def turn(name: str, server: Server, window: int = window) -> Load:
                with _playing(name, server, track_id) as (lines, question):
                    rooms, answers = [[each] for each in lines], DIALECTS[name].per_round
                    return clocked(
                        server, lambda: converse(rooms, question, answers, window, WINDOW)
                    )

            loads = contest.loads(turn, rounds)
            what = f"update + state rounds, {USERS} devices, {window} open on each"
            yield from contest.rows(Row("reports", what, "rounds/s"), loads, targets)
            if window == 1:
                half_load = {
                    name: median(load.rate for load in each) / 2 for name, each in loads.items()
                }
        yield from _latencies(contest, track_id, half_load, rounds)


def _latencies(
    contest: Contest, track_id: str, half_load: dict[str, float], rounds: int
) -> Iterator[Row]:
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in contest.servers}

    def turn(name: str, server: Server) -> Load:
        with _playing(name, server, track_id) as (lines, question):
            answers = DIALECTS[name].per_round
            latencies: list[float] = []

            def run() -> float:
                latencies[:] = paced(lines, question, answers, half_load[name], WINDOW)
                return len(latencies)

            load = clocked(server, run)
        found[name].append((percentile(latencies, 0.5), percentile(latencies, 0.99)))
        return load

    contest.loads(turn, rounds)
    for place, share in enumerate(("p50", "p99")):
        figures = {
            name: [each[place] * 1000 for each in figures] for name, figures in found.items()
        }
        what = f"latency {share} of a round, each server at half its load"
        bare = Row("reports", what, "ms", ours=Spread.of(figures[OURS]))
        for name in list(figures)[1:]:
            shares = [our / their for our, their in zip(figures[OURS], figures[name], strict=True)]
            yield replace(
                bare,
                yardstick=name,
                theirs=Spread.of(figures[name]),
                ratio=Spread.of(shares),
                note=f"ours {half_load[OURS]:,.0f} rounds/s, theirs {half_load[name]:,.0f}",
            )


class _playing:
    """Connections of ``USERS`` users who have just begun to play, and their round."""

    def __init__(self, name: str, server: Server, track_id: str) -> None:
        self._dialect, self._server, self._track_id = DIALECTS[name], server, track_id
        self._is_floor = name in FLOORS
        self._stack = ExitStack()

    def __enter__(self) -> tuple[list[Frames], bytes]:
        lines = [self._dialect.connect(self._server, f"user{number}") for number in range(USERS)]
        closing(self._stack, lines)
        for each in () if self._is_floor else lines:
            each.send(self._dialect.play(self._track_id))
            each.wait_for(1)
        return lines, self._dialect.round(self._track_id, 10.3)

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def _commands(folder: Path, rounds: int) -> Iterator[Row]:
    with ExitStack() as stack:
        contest, track_id = _contest(stack, folder, BROADCAST)
        for devices in (2, 8):

            def turn(name: str, server: Server, devices: int = devices) -> Load:
                dialect = DIALECTS[name]
                with ExitStack() as stack:
                    rooms = [
                        [dialect.connect(server, f"user{room}") for _ in range(devices)]
                        for room in range(ROOMS)
                    ]
                    for room in rooms:
                        closing(stack, room)
                    question = dialect.play(track_id)
                    return clocked(
                        server,
                        lambda: converse(rooms, question, devices, OPEN_PER_ROOM, WINDOW),
                    )

            loads = contest.loads(turn, rounds)
            bare = Row("commands", f"playTrack sent to {devices} devices", "commands/s")
            yield from contest.rows(bare, loads, FAN_OUT_TARGETS.get(devices, {}))

"""What clients may send by mistake or on purpose: generated, and never too much for the server.

The parser, and the gateway over real sockets. The same parser is fuzzed by coverage in
``tests/fuzz``.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, WSMsgType
from aiohttp.test_utils import TestServer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audiostream import Settings, create_app
from audiostream.services import SERVICES
from audiostream.settings import Limits
from tests.fuzz.targets import check_message
from tests.support.audio_files import write_wav
from tests.support.logged_errors import LoggedErrors, no_logged_errors
from tests.support.long_tests import times
from tests.support.server_process import SECRET
from tests.support.ws_client import PATIENCE, Peer, connect

Token = Callable[..., str]

OWN, OTHERS = "THE-OWN-TOKEN", "ANOTHER-USERS-TOKEN"
"""Stand in generated frames for tokens that are good when they are sent."""
DOCUMENTED_CLOSES = {1003, 1009, 4401, 4403}
LAST = "the last question"
TRACKS = ("song", "other", "his", "none")

# What clients write

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from((10**400, -0.0, 1e308, 2**63, "\ud800", "x" * 200, "", "song"))
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
IDS = st.integers(-(2**63) + 1, 2**63 - 1) | st.text(max_size=20) | st.floats(allow_nan=False)
POSITIONS = st.floats(0, 100) | st.integers(0, 100)
DATA: dict[str, st.SearchStrategy[Any]] = {
    "playTrack": st.fixed_dictionaries(
        {"trackId": st.sampled_from(TRACKS)},
        optional={"currentTime": POSITIONS, "resume": st.booleans(), "ifRev": st.integers(0, 3)},
    ),
    "pauseTrack": st.fixed_dictionaries(
        {"trackId": st.sampled_from(TRACKS)},
        optional={"currentTime": POSITIONS, "userId": st.just("somebody")},
    ),
    "updateStreaming": st.fixed_dictionaries(
        {"trackId": st.sampled_from(TRACKS), "currentTime": POSITIONS, "isPlaying": st.booleans()},
        optional={"playbackRate": st.sampled_from((0.5, 1, 2.0))},
    ),
    "getCurrentState": st.none() | st.builds(dict),
    "auth": st.fixed_dictionaries(
        {"token": st.just(OWN)}, optional={"deviceId": st.text(max_size=5)}
    ),
}
HELLO = json.dumps({"event": "auth", "data": {"token": OWN}})
VALID: st.SearchStrategy[dict[str, Any]] = st.sampled_from(sorted(DATA)).flatmap(
    lambda event: st.fixed_dictionaries(
        {"event": st.just(event), "data": DATA[event]}, optional={"id": IDS}
    )
)


@st.composite
def half_valid(draw: st.DrawFn) -> Any:
    """A valid frame in which one member is anything, or missing, or too many."""
    frame = draw(VALID)
    inside = draw(st.booleans()) and isinstance(frame["data"], dict)
    place = frame["data"] if inside else frame
    name = draw(st.sampled_from(sorted(place)) if place else st.text(max_size=5))
    if draw(st.booleans()):
        place[name] = draw(JSON | st.just(OTHERS))
    else:
        place.pop(name, None)
    return frame


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """The text of a valid frame in which some characters are lost, doubled or others."""
    text = json.dumps(draw(VALID))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(text)))
        stop = draw(st.integers(start, min(len(text), start + 8)))
        text = (
            text[:start] + draw(st.text(max_size=4) | st.just(text[start:stop] * 2)) + text[stop:]
        )
    return text


# As they come from the socket: what is not UTF-8 never reaches the parser.
TEXTS = (
    VALID.map(json.dumps)
    | half_valid().map(json.dumps)
    | mutated()
    | JSON.map(json.dumps)
    | st.text()
    | st.binary().map(lambda content: content.decode(errors="replace"))
    | st.integers(1, 5000).map(lambda depth: "[" * depth)
    | st.integers(28, 40).map(
        lambda depth: '{"event":"x","data":' + '{"a":' * depth + "1" + "}" * (depth + 1)
    )
).map(lambda text: text.encode(errors="replace").decode())
FRAMES = TEXTS | st.binary(max_size=20) | st.just("x" * (64 * 1024 + 1))


@settings(max_examples=times(1500))
@given(TEXTS)
def test_every_frame_is_decoded_or_refused(text: str) -> None:
    check_message(text)


# The gateway


@dataclass
class ServerFixture:
    """A server on an event loop that stands still between examples, and a household for each."""

    runner: asyncio.Runner
    token: Token
    server: TestServer
    session: ClientSession
    errors: LoggedErrors
    households: Iterator[int] = field(default_factory=count)

    def url(self, label: str) -> str:
        return str(self.server.make_url(f"/ws?deviceId={label}"))


@pytest.fixture
def fixture(tmp_path: Path, token: Token) -> Iterator[ServerFixture]:
    for name in ("song", "other", "users/him/his"):
        write_wav(tmp_path / "media" / f"{name}.wav", 60.0)
    entries = [
        {"id": path.rpartition("/")[2], "audioUrl": f"{path}.wav", "duration": 60}
        for path in ("song", "other", "users/him/his")
    ]
    (tmp_path / "media" / "tracks.json").write_text(json.dumps(entries))
    limits = Limits(commands_per_second=10_000, reports_per_second=10_000)
    given_settings = Settings(jwt_secret=SECRET, media=tmp_path / "media", limits=limits)
    with no_logged_errors() as errors, asyncio.Runner() as runner:

        async def start() -> ServerFixture:
            app = create_app(given_settings)
            app[SERVICES].library.scan()
            server = TestServer(app)
            await server.start_server()
            return ServerFixture(runner, token, server, ClientSession(), errors)

        async def stop(fixture: ServerFixture) -> None:
            await fixture.session.close()
            await fixture.server.close()

        fixture = runner.run(start())
        yield fixture
        runner.run(stop(fixture))


def id_of(text: str) -> Any:
    """The id that the answer has to carry, None where the frame has none that is allowed."""

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    try:
        frame = json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError):
        return None
    if not isinstance(frame, dict) or depth_of(frame) > Limits().max_json_depth:
        return None
    match frame.get("id"):
        case bool():
            return None
        case int(number) if abs(number) < 2**63:
            return number
        case float(number) if math.isfinite(number):
            return number
        case str(text) if len(text) <= 128:
            return text
    return None


def depth_of(content: Any) -> int:
    inner = content.values() if isinstance(content, dict) else content
    if not isinstance(content, dict | list):
        return 0
    return 1 + max(map(depth_of, inner), default=0)


@dataclass
class Sender:
    """One device that sends what was generated, and what it heard of it."""

    peer: Peer
    label: str
    tokens: dict[str, str]
    ids: list[Any] = field(default_factory=list)
    heard: list[dict[str, Any]] = field(default_factory=list)
    may_be_closed: bool = False
    closed_by: int | None = None

    async def send(self, content: str | bytes) -> None:
        with suppress(ConnectionError):
            if isinstance(content, bytes):
                self.may_be_closed = True
                await self.peer.socket.send_bytes(content)
                return
            for name, token in self.tokens.items():
                content = content.replace(name, token)
            self.may_be_closed |= "auth" in content or len(content.encode()) > Limits().max_frame
            if (frame_id := id_of(content)) is not None:
                self.ids.append(frame_id)
            await self.peer.socket.send_str(content)

    async def hear_all(self) -> None:
        """Until the answer to a last question, or the close."""
        self.ids.append(LAST)
        with suppress(ConnectionError):
            await self.peer.send("getCurrentState", LAST)
        while self.closed_by is None and not (self.heard and self.heard[-1].get("id") == LAST):
            await self.hear()

    async def hear(self) -> None:
        """One frame, or the close: its code as it was sent, which the socket may not keep."""
        message = await self.peer.socket.receive(PATIENCE)
        if message.type is WSMsgType.TEXT:
            self.heard.append(json.loads(message.data))
        else:
            self.closed_by = message.data if message.type is WSMsgType.CLOSE else message.type

    def check(self) -> None:
        answered = [frame["id"] for frame in self.heard if "id" in frame]
        assert answered == self.ids[: len(answered)]
        if self.closed_by is None:
            assert answered == self.ids
        else:
            assert self.may_be_closed
            assert self.closed_by in DOCUMENTED_CLOSES
        for frame in self.heard:
            data = frame["data"]
            assert data.get("trackId") in {None, "song", "other"}
            assert str(data.get("deviceId") or self.label).startswith(self.label[:3])


@settings(
    max_examples=times(250),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(frames=st.lists(st.tuples(st.integers(0, 2), FRAMES), max_size=20))
def test_every_sequence_of_frames_is_answered_and_the_room_stays_consistent(
    fixture: ServerFixture, frames: list[tuple[int, str | bytes]]
) -> None:
    number = next(fixture.households)
    ada, bob = fixture.token(f"ada{number}"), fixture.token(f"bob{number}")

    async def play() -> None:
        async with AsyncExitStack() as stack:
            senders = []
            for label, own, others in (("ada1", ada, bob), ("ada2", ada, bob), ("bob", bob, ada)):
                peer = await stack.enter_async_context(
                    connect(fixture.session, fixture.url(label), own)
                )
                senders.append(Sender(peer, label, {OWN: own, OTHERS: others}))
            for index, content in frames:
                await senders[index].send(content)
            for sender in senders:
                await sender.hear_all()
                sender.check()
            for fresh in (ada, bob):
                async with connect(fixture.session, fixture.url("fresh"), fresh) as device:
                    answer = await device.ask("getCurrentState")
                    assert answer["event"] == "trackState"

    fixture.runner.run(play())
    assert not fixture.errors.lines


@settings(
    max_examples=times(150),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(first=FRAMES | st.just(HELLO))
def test_no_first_frame_but_a_valid_auth_authenticates(
    fixture: ServerFixture, first: str | bytes
) -> None:
    tokens = {OWN: fixture.token("ada"), OTHERS: fixture.token("bob")}

    async def knock() -> None:
        async with connect(fixture.session, fixture.url("door")) as peer:
            visitor = Sender(peer, "door", tokens)
            await visitor.send(first)
            await visitor.hear()
            greeting = visitor.heard[0] if visitor.heard else None
            if greeting is not None and greeting["event"] == "authenticated":
                assert greeting["data"]["userId"] in {"ada", "bob"}
                assert isinstance(first, str)
                assert OWN in first or OTHERS in first
                return
            assert greeting is None or greeting["event"] == "error"
            if greeting is not None and "control characters" in greeting["data"]["message"]:
                await visitor.send(HELLO)  # the token was good, and only a label was not
                await visitor.hear()
                assert visitor.heard[-1]["event"] == "authenticated"
                return
            while visitor.closed_by is None:
                await visitor.hear()
            assert visitor.closed_by in {1003, 1009, 4401}

    fixture.runner.run(knock())
    assert not fixture.errors.lines

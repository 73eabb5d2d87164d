"""Each case of the suite, against one server."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from audiostream import Settings
from audiostream.app import tokens_of
from tests.support.audio_files import write_wav
from tests.support.blocking_connection import BlockingConnection
from tests.support.raw_http import bearer, upgrade
from tests.support.raw_websocket import BINARY, CLOSE, PING, PONG, TEXT, frame
from tests.support.server_process import SECRET, UNLIMITED, ServerProcess, module_server
from tests.system.conformance.case import (
    KOSME,
    LONGEST,
    NO_JSON,
    NORMAL,
    UNSUPPORTED,
    Case,
    Received,
    around,
    close_frame,
    fragments,
    question,
)
from tests.system.conformance.frame_cases import (
    closing,
    fragmentation,
    framing,
    opcodes,
    pings,
    reserved_bits,
)
from tests.system.conformance.limit_cases import autofragmentation, limits
from tests.system.conformance.utf8_cases import sequences, utf8

CASES = {
    case: each
    for category in (
        framing,
        pings,
        reserved_bits,
        opcodes,
        fragmentation,
        utf8,
        sequences,
        closing,
        autofragmentation,
    )
    for case, each in category()
}
LIMITS = dict(limits())


class Device(BlockingConnection):
    """A WebSocket of which each frame is sent by hand."""

    def __init__(self, port: int, token: str) -> None:
        super().__init__(port)
        self.send(upgrade("/ws", bearer(token)))
        head = self.read_until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head

    def frame(self) -> tuple[int, bytes] | None:
        """The next frame, None where the connection has ended."""
        head = self.read(2)
        if len(head) < 2:
            return None
        assert head[0] & 0xF0 == 0x80, "a server's frame here is whole, and without an extension"
        length = head[1]
        assert length < 0x80, "a server masks nothing"
        if length >= 126:
            length = int.from_bytes(self.read(2 if length == 126 else 8))
        payload = self.read(length)
        assert len(payload) == length
        return head[0] & 0x0F, payload

    def receives(self) -> Received | int | None:
        """The next answer, or a close code, None where the close frame gives none."""
        found = self.frame()
        assert found is not None, "the connection ended without a close frame"
        opcode, payload = found
        if opcode == CLOSE:
            assert len(payload) != 1
            payload[2:].decode()
            return int.from_bytes(payload[:2]) if payload else None
        if opcode == PONG:
            return "pong", payload
        assert opcode == TEXT
        content = json.loads(payload)
        if content["event"] == "error":
            return "error", content["data"]["code"]
        assert content["event"] == "trackState"
        return "id", content["id"]


Open = Callable[[], Device]


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("conformance") / "media"
    write_wav(folder / "song.wav", 1.0)
    return folder


@pytest.fixture(scope="module")
def server(media: Path) -> Iterator[ServerProcess]:
    with module_server(media, AUDIOSTREAM_MAX_FRAME=str(LONGEST), **UNLIMITED) as server:
        yield server


@pytest.fixture(scope="module")
def connect(server: ServerProcess, media: Path) -> Open:
    token = tokens_of(Settings(jwt_secret=SECRET, media=media)).mint("ada", time.time(), None)
    return lambda: Device(server.port, token)


@pytest.mark.parametrize("case", CASES)
def test_a_conformance_case_ends_as_rfc_6455_says(connect: Open, case: str) -> None:
    check(connect, CASES[case])


@pytest.mark.parametrize("case", LIMITS)
def test_a_message_over_the_limit_is_1009_and_one_within_it_is_answered(
    connect: Open, case: str
) -> None:
    check(connect, LIMITS[case]())


def check(connect: Open, cases: list[Case]) -> None:
    """Try each on a connection of its own."""
    for each in cases:
        with connect() as device:
            device.send(*each.pieces, pause=each.pause)
            for expected in each.receives:
                assert device.receives() == expected
            if not each.closes:
                # Nothing else was said before this, and the connection goes on.
                device.send(frame(b"still there?", PING) + close_frame(NORMAL))
                assert device.receives() == ("pong", b"still there?")
            assert device.receives() in (each.closes or {NORMAL})
            device.send(close_frame(NORMAL))
            device.end_sending()
            assert device.read_to_end() == b""


ROUND_TRIPS = 1000


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        pytest.param(b"", NO_JSON, id="9.7.1"),
        pytest.param(b'{"event":"x"}'.ljust(16), ("error", "unknown_event"), id="9.7.2"),
        *(
            pytest.param(question("x", size), ("id", "x"), id=f"9.7.{number}")
            for number, size in enumerate((64, 256, 1024, 4096), 3)
        ),
    ],
)
def test_a_thousand_texts_are_answered_one_by_one(
    connect: Open, message: bytes, answer: Received
) -> None:
    with connect() as device:
        for _ in range(ROUND_TRIPS):
            device.send(frame(message))
            assert device.receives() == answer
        device.send(close_frame(NORMAL))
        assert device.receives() == NORMAL


@pytest.mark.parametrize(
    "size",
    [
        pytest.param(size, id=f"9.8.{number}")
        for number, size in enumerate((0, 16, 64, 256, 1024, 4096), 1)
    ],
)
def test_the_first_of_a_thousand_binary_messages_is_1003(connect: Open, size: int) -> None:
    with connect() as device:
        device.send(frame(bytes(size), BINARY) * ROUND_TRIPS)
        assert device.receives() == UNSUPPORTED
        device.send(close_frame(UNSUPPORTED))
        device.end_sending()
        assert device.read_to_end() == b""


def conversation() -> tuple[list[bytes], list[Received | int | None]]:
    """Frames of every kind, and the answers to them."""
    first, second = fragments(question("cut"), 20)[0], fragments(question("cut"), 20)[1:]
    frames = [
        frame(question("short")),
        frame(b"payload", PING),
        frame(question("126 bytes", 126)),
        first,
        frame(b"inside", PING),
        *second,
        frame(b"nobody asked", PONG),
        frame(b"no JSON"),
        frame(question("16 KiB", LONGEST)),
        frame(around(KOSME)),
        close_frame(4000),
    ]
    answers: list[Received | int | None] = [
        ("id", "short"),
        ("pong", b"payload"),
        ("id", "126 bytes"),
        ("pong", b"inside"),
        ("id", "cut"),
        NO_JSON,
        ("id", "16 KiB"),
        ("id", KOSME.decode()),
        4000,
    ]
    return frames, answers


@pytest.mark.parametrize("seed", range(20))
def test_answers_do_not_depend_on_how_the_network_splits_the_bytes(
    connect: Open, seed: int
) -> None:
    frames, answers = conversation()
    data, random = b"".join(frames), Random(seed)  # noqa: S311 - reproducible, not secret
    cuts = sorted(random.sample(range(1, len(data)), random.randint(1, 30)))
    # Most cuts would lie in the longest message.
    cuts += random.sample(range(1, sum(map(len, frames[:8]))), random.randint(1, 30))
    edges = [0, *sorted(set(cuts)), len(data)]
    with connect() as device:
        device.send(*(data[a:b] for a, b in itertools.pairwise(edges)), pause=0.001)
        assert [device.receives() for _ in answers] == answers

"""Bytes of a client to messages: by the rules of RFC 6455, however the network cuts them up."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import WebSocketError, WSMsgType
from aiohttp._websocket.reader import WebSocketDataQueue
from aiohttp.http_websocket import WebSocketReader
from hypothesis import example, given
from hypothesis import strategies as st

from audiostream.websocket.frames import (
    PING_FRAME,
    Close,
    FrameReader,
    Message,
    Ping,
    Pong,
    close_frame,
    pong_frame,
    text_frame,
)
from tests.fuzz.targets import MAX_MESSAGE, check_frames, read_frames
from tests.support.raw_websocket import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, frame

Reading = tuple[list[Message], int | None]
"""What was read, and the close code where that was the end of it."""


def goodbye(code: int, reason: str = "") -> bytes:
    return frame(code.to_bytes(2) + reason.encode(), CLOSE)


class TestMessages:
    def test_texts_of_all_lengths_come_one_by_one(self) -> None:
        texts = ["", "a", "é" * 62, "x" * 125, "x" * 126, "x" * 1000, "x" * MAX_MESSAGE]
        assert read_frames(b"".join(map(frame, texts))) == (texts, None)

    def test_fragments_are_put_together_around_pings(self) -> None:
        first, second, third = "schön".encode()[:4], "schön".encode()[4:5], b"n"
        pieces = [
            frame(first, final=False),
            frame("are you there", PING),
            frame(second, CONTINUATION, final=False),
            frame("", CONTINUATION, final=False),
            frame(third, CONTINUATION),
            frame("next"),
        ]
        assert read_frames(b"".join(pieces)) == ([Ping(b"are you there"), "schön", "next"], None)

    def test_the_end_has_a_code_or_none(self) -> None:
        codes = (1000, 1001, 1003, 1011, 1014, 3000, 4999)
        for code in codes:
            assert read_frames(goodbye(code, "so long")) == ([Close(code)], None)
        assert read_frames(frame(b"", CLOSE)) == ([Close(None)], None)

    def test_a_pong_has_the_payload_of_its_ping(self) -> None:
        assert read_frames(frame("whatever", PONG)) == ([Pong(b"whatever")], None)

    def test_a_length_may_come_in_pieces(self) -> None:
        reader, data = FrameReader(MAX_MESSAGE), frame("x" * 1000)
        for number in range(len(data) - 1):
            reader.feed(data[number : number + 1])
            assert reader.read() is None
        reader.feed(data[-1:])
        assert reader.read() == "x" * 1000

    def test_nothing_is_kept_once_all_is_read(self) -> None:
        reader = FrameReader(MAX_MESSAGE)
        reader.feed(frame("x" * 1000))
        assert (reader.read(), reader.read()) == ("x" * 1000, None)
        assert reader.unread == b""


class TestRefusals:
    @pytest.mark.parametrize(
        ("bad", "code"),
        [
            pytest.param(frame("{}", masked=False), 1002, id="not masked"),
            pytest.param(frame("{}", reserved=4), 1002, id="reserved bits"),
            pytest.param(frame("{}", 3), 1002, id="no such opcode"),
            pytest.param(frame("", PING, final=False), 1002, id="a ping in fragments"),
            pytest.param(frame("x" * 126, PING), 1002, id="a long ping"),
            pytest.param(frame("", CONTINUATION), 1002, id="a continuation of nothing"),
            pytest.param(frame("", final=False) + frame(""), 1002, id="text within text"),
            pytest.param(frame(b"\x03", CLOSE), 1002, id="half a close code"),
            pytest.param(goodbye(1005), 1002, id="a code that is never sent"),
            pytest.param(goodbye(1006), 1002, id="another"),
            pytest.param(goodbye(2999), 1002, id="a code of nobody"),
            pytest.param(goodbye(5000), 1002, id="a code beyond all"),
            pytest.param(frame(b"\x03\xe8\xff", CLOSE), 1007, id="a reason that is not UTF-8"),
            pytest.param(frame(b"\xff"), 1007, id="a text that is not UTF-8"),
            pytest.param(
                frame(b"\xc3", final=False) + frame("", CONTINUATION), 1007, id="half a character"
            ),
            pytest.param(frame(b"{}", BINARY), 1003, id="binary"),
            pytest.param(frame("{", claimed=MAX_MESSAGE + 1), 1009, id="too long, it says"),
            pytest.param(frame("{", claimed=2**64 - 1), 1009, id="the longest there is"),
            pytest.param(
                frame("x" * MAX_MESSAGE, final=False) + frame("x", CONTINUATION),
                1009,
                id="too long in fragments",
            ),
        ],
    )
    def test_they_come_behind_what_was_good_and_before_the_payload(
        self, bad: bytes, code: int
    ) -> None:
        assert read_frames(frame("good") + bad) == (["good"], code)


FRAGMENTS = st.binary(min_size=1, max_size=300)  # of an empty first one aiohttp loses track
FRAMES = st.one_of(
    st.builds(frame, st.text(max_size=200) | st.binary(max_size=200)),
    st.builds(frame, FRAGMENTS, st.sampled_from((TEXT, CONTINUATION)), final=st.booleans()),
    st.builds(frame, st.binary(max_size=125), st.sampled_from((PING, PONG))),
    st.builds(goodbye, st.sampled_from((1000, 1001, 3000, 4999)), st.text(max_size=20)),
    st.builds(
        frame,
        FRAGMENTS,
        st.sampled_from([opcode for opcode in range(16) if opcode != CLOSE]),
        final=st.booleans(),
        reserved=st.sampled_from((0, 0, 0, 1, 2, 4)),
    ),
)


class TestAnyBytes:
    @given(st.lists(FRAMES | st.binary(max_size=20), max_size=8))
    def test_how_the_network_cuts_them_up_does_not_matter(self, pieces: list[bytes]) -> None:
        check_frames(b"".join(pieces))

    @given(st.lists(FRAMES, max_size=8))
    def test_they_are_read_as_aiohttp_reads_them(self, pieces: list[bytes]) -> None:
        data = b"".join(pieces)
        ours, code = read_frames(data)
        theirs = asyncio.run(read_by_aiohttp(data))
        if code == 1003:  # aiohttp takes binary messages, and goes on
            assert theirs[0][: len(ours)] == ours
        else:
            assert theirs == (ours, code)

    @example("x" * (1 << 16), b"", "")
    @given(st.text(max_size=70_000), st.binary(max_size=125), st.text(max_size=200))
    def test_what_we_write_is_read_by_aiohttp(self, text: str, payload: bytes, reason: str) -> None:
        data = text_frame(text) + PING_FRAME + pong_frame(payload) + close_frame(4401, reason)
        read = asyncio.run(read_by_aiohttp(data, 2**20))
        assert read == ([text, Ping(b""), Pong(payload), Close(4401)], None)


class NoProtocol:
    """What aiohttp's queue wants of a connection; it is never full here."""

    _reading_paused = False


async def read_by_aiohttp(data: bytes, max_message: int = MAX_MESSAGE) -> Reading:
    """What aiohttp's own reader makes of ``data``."""
    protocol: Any = NoProtocol()
    queue = WebSocketDataQueue(protocol, 2**20, loop=asyncio.get_running_loop())
    reader = WebSocketReader(queue, max_message + 1, compress=False, decode_text=True)
    reader.feed_data(data)
    messages: list[Any] = []
    while queue._buffer:
        read = await queue.read()
        match read.type:
            case WSMsgType.PING:
                messages.append(Ping(read.data))
            case WSMsgType.PONG:
                messages.append(Pong(read.data))
            case WSMsgType.CLOSE:
                messages.append(Close(read.data or None))
            case _:
                messages.append(read.data)
    error = queue.exception()
    return messages, error.code if isinstance(error, WebSocketError) else None

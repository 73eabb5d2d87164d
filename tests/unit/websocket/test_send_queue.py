"""Frames of one loop iteration are written together, in order, and never more than is bounded."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import WSMsgType

from audiostream.websocket import send_queue
from audiostream.websocket.send_queue import SendQueue, WriteBatcher, encode_frame
from tests.support.transports import FakeLoop, FakeTransport

CLOSE_FRAME = b"\x88\x02\x03\xe8"


def text_frame(text: str) -> bytes:
    return encode_frame(WSMsgType.TEXT, text.encode())


@pytest.fixture
def transport() -> FakeTransport:
    return FakeTransport()


@pytest.fixture
def batcher(loop: FakeLoop) -> WriteBatcher:
    return WriteBatcher()


@pytest.fixture
def queue(transport: Any, batcher: WriteBatcher) -> SendQueue:
    return SendQueue(transport, batcher)


@pytest.mark.parametrize(
    ("length", "header"),
    [
        (0, b"\x81\x00"),
        (125, b"\x81\x7d"),
        (126, b"\x81\x7e\x00\x7e"),
        (65_535, b"\x81\x7e\xff\xff"),
        (65_536, b"\x81\x7f\0\0\0\0\0\x01\0\0"),
    ],
)
def test_a_frame_header_has_the_shortest_length_field(length: int, header: bytes) -> None:
    assert encode_frame(WSMsgType.TEXT, b"x" * length) == header + b"x" * length


def test_a_frame_outside_a_batch_is_written_at_once(
    queue: SendQueue, transport: FakeTransport
) -> None:
    queue.send_text("one")
    assert transport.writes == [b"\x81\x03one"]


def test_frames_of_a_loop_iteration_are_written_together_at_its_end(
    queue: SendQueue, transport: FakeTransport, batcher: WriteBatcher, loop: FakeLoop
) -> None:
    for _ in range(2):
        batcher.open()
    for text in ("one", "two", "six"):
        queue.send_text(text)
    assert transport.writes == []
    loop.advance()
    assert transport.writes == [b"\x81\x03one\x81\x03two\x81\x03six"]
    queue.send_text("ten")
    assert transport.writes[1:] == [b"\x81\x03ten"]


def test_a_pong_is_written_behind_the_texts_before_it(
    queue: SendQueue, transport: FakeTransport, batcher: WriteBatcher, loop: FakeLoop
) -> None:
    batcher.open()
    queue.send_text("a")
    queue.send_control(WSMsgType.PONG, b"here")
    queue.send_text("b")
    loop.advance()
    assert transport.writes == [b"\x81\x01a\x8a\x04here\x81\x01b"]


def test_a_queue_that_holds_much_writes_before_the_end_of_the_iteration(
    queue: SendQueue, transport: FakeTransport, batcher: WriteBatcher, loop: FakeLoop
) -> None:
    batcher.open()
    for _ in range(64):
        queue.send_text("x" * 1000)
    assert transport.unsent > 64_000 - send_queue.MAX_HELD
    loop.advance()
    assert transport.sent == 64 * text_frame("x" * 1000)


def test_many_queues_write_before_the_end_of_the_iteration(
    batcher: WriteBatcher, loop: FakeLoop
) -> None:
    transports: list[Any] = [FakeTransport() for _ in range(send_queue.MAX_HELD_QUEUES + 1)]
    batcher.open()
    for each in transports:
        SendQueue(each, batcher).send_text("one")
    written = [len(each.writes) for each in transports]
    assert written == [1] * send_queue.MAX_HELD_QUEUES + [0]
    loop.advance()
    assert {len(each.writes) for each in transports} == {1}


def test_what_several_devices_send_to_one_in_an_iteration_is_written_once(
    queue: SendQueue, transport: FakeTransport, batcher: WriteBatcher, loop: FakeLoop
) -> None:
    for text in ("one", "two", "six"):
        batcher.open()  # at the first message of each device
        queue.send_text(text)
    loop.advance()
    assert transport.writes == [b"\x81\x03one\x81\x03two\x81\x03six"]


def test_a_broadcast_is_encoded_once_for_all_devices(batcher: WriteBatcher) -> None:
    encoded = [batcher.encode(text) for text in ("a text", "a text", "another")]
    assert encoded[0] is encoded[1]
    assert encoded[2] == text_frame("another")


@pytest.mark.parametrize("in_a_batch", [False, True])
def test_a_device_that_reads_nothing_is_aborted_with_a_bounded_rest(
    queue: SendQueue,
    transport: FakeTransport,
    batcher: WriteBatcher,
    loop: FakeLoop,
    in_a_batch: bool,
) -> None:
    if in_a_batch:
        batcher.open()
    while not transport.is_aborted and transport.unsent < 2 * send_queue.MAX_UNSENT:
        assert not queue.has_overflowed
        queue.send_text("x" * 1000)
    assert transport.is_aborted
    assert queue.has_overflowed
    assert transport.unsent <= send_queue.MAX_UNSENT + 2000
    loop.advance()
    assert transport.unsent <= send_queue.MAX_UNSENT + 2000


def test_a_device_that_pings_and_reads_nothing_is_aborted(
    queue: SendQueue, transport: FakeTransport
) -> None:
    while not transport.is_aborted and transport.unsent < 2 * send_queue.MAX_UNSENT:
        queue.send_control(WSMsgType.PONG, b"x" * 125)
    assert transport.is_aborted


def test_a_close_frame_goes_behind_all_texts_and_nothing_behind_it(
    queue: SendQueue, transport: FakeTransport, batcher: WriteBatcher, loop: FakeLoop
) -> None:
    batcher.open()
    queue.send_text("one")
    queue.close(CLOSE_FRAME)
    queue.send_text("two")
    loop.advance()
    assert transport.sent == b"\x81\x03one" + CLOSE_FRAME

"""One device's WebSocket on a line that a test holds both ends of: turns, pings, the end."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from audiostream.websocket import sockets
from audiostream.websocket.frames import Closing, close_frame, text_frame
from audiostream.websocket.sockets import CLOSE_TIMEOUT, HEARTBEAT, DeviceSocket, Outbox, Turn
from tests.support.raw_websocket import CLOSE, PING, frame

PING_FRAME = b"\x89\x00"


@dataclass(eq=False)
class Line:
    """A transport whose peer takes nothing, but for what ``taken`` says."""

    writes: list[bytes] = field(default_factory=list)
    taken: int = 0
    is_cut: bool = False
    is_closed: bool = False
    is_half_closed: bool = False
    is_paused: bool = False
    knows_halves: bool = True

    @property
    def unsent(self) -> int:
        return sum(map(len, self.writes)) - self.taken

    def write(self, data: bytes) -> None:
        assert not self.is_half_closed, "written behind the end"
        self.writes.append(bytes(data))

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def is_closing(self) -> bool:
        return self.is_cut or self.is_closed

    def abort(self) -> None:
        self.is_cut = True

    def close(self) -> None:
        self.is_closed = True

    def can_write_eof(self) -> bool:
        return self.knows_halves

    def write_eof(self) -> None:
        self.is_half_closed = True

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False


@dataclass(eq=False)
class Later:
    """Something that is to happen at a moment."""

    at: float
    happen: Callable[..., None]
    is_off: bool = False

    def cancel(self) -> None:
        self.is_off = True


@dataclass(eq=False)
class StillLoop:
    """An event loop on which time passes when a test says so."""

    now: float = 100.0
    timers: list[Later] = field(default_factory=list)

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, happen: Callable[..., None]) -> Later:
        self.timers.append(Later(self.now + delay, happen))
        return self.timers[-1]

    def call_soon(self, happen: Callable[..., None]) -> Later:
        return self.call_later(0, happen)

    def create_future(self) -> asyncio.Future[None]:
        return asyncio.Future()

    def pass_time(self, seconds: float = 0.0) -> None:
        end = self.now + seconds
        while due := [each for each in self.timers if not each.is_off and each.at <= end]:
            first = min(due, key=lambda each: each.at)
            self.timers.remove(first)
            self.now = max(self.now, first.at)
            first.happen()
        self.now = end


@dataclass(eq=False)
class Device:
    """A socket on a line, and what it was asked to do."""

    line: Line
    socket: DeviceSocket
    texts: list[str] = field(default_factory=list)
    leavings: int = 0

    def listen(self) -> Device:
        self.socket.listen(self.receive, self.leave)
        return self

    def receive(self, text: str) -> None:
        self.texts.append(text)
        if text == "bye":
            raise Closing(4403, "somebody else")
        self.socket.outbox.send_text(f"re {text}")

    def leave(self) -> None:
        self.leavings += 1

    def hear(self, *frames: bytes) -> None:
        assert self.socket.feed_data(b"".join(frames)) == (False, b"")


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> StillLoop:
    still = StillLoop()
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: still)
    return still


@pytest.fixture
def device(loop: StillLoop) -> Device:
    return on_a_line(Line())


def on_a_line(line: Any, turn: Turn | None = None) -> Device:
    return Device(line, DeviceSocket(line, 1000, turn or Turn()))


class TestOutbox:
    """Frames of one turn are written together, and nothing about them changes but that."""

    @pytest.fixture
    def line(self) -> Line:
        return Line()

    @pytest.fixture
    def turn(self, loop: StillLoop) -> Turn:
        return Turn()

    @pytest.fixture
    def outbox(self, line: Any, turn: Turn) -> Outbox:
        return Outbox(line, turn)

    def test_a_frame_outside_of_turns_is_written_at_once(self, outbox: Outbox, line: Line) -> None:
        outbox.send_text("one")
        assert line.writes == [b"\x81\x03one"]

    def test_those_of_a_turn_are_written_together_at_its_end(
        self, outbox: Outbox, line: Line, turn: Turn, loop: StillLoop
    ) -> None:
        for _ in range(2):
            turn.open()
        for text in ("one", "two", "six"):
            outbox.send_text(text)
        assert line.writes == []
        loop.pass_time()
        assert line.writes == [b"\x81\x03one\x81\x03two\x81\x03six"]
        outbox.send_text("ten")
        assert line.writes[1:] == [b"\x81\x03ten"]

    def test_what_is_much_does_not_wait_for_the_end_of_the_turn(
        self, outbox: Outbox, line: Line, turn: Turn, loop: StillLoop
    ) -> None:
        turn.open()
        for _ in range(64):
            outbox.send_text("x" * 1000)
        assert line.unsent > 64_000 - sockets.MAX_HELD
        loop.pass_time()
        assert b"".join(line.writes) == 64 * text_frame("x" * 1000)

    def test_many_that_hold_something_do_not_wait_for_the_end_of_the_turn(
        self, turn: Turn, loop: StillLoop
    ) -> None:
        lines: list[Any] = [Line() for _ in range(sockets.MOST_HOLDING + 1)]
        turn.open()
        for line in lines:
            Outbox(line, turn).send_text("one")
        assert [len(line.writes) for line in lines] == [1] * sockets.MOST_HOLDING + [0]
        loop.pass_time()
        assert {len(line.writes) for line in lines} == {1}

    def test_what_several_are_told_is_written_out_once(self, turn: Turn) -> None:
        lines: list[Any] = [Line(), Line(), Line()]
        for line, text in zip(lines, ("a text", "a text", "another"), strict=True):
            Outbox(line, turn).send_text(text)
        [[first], [second], [third]] = [line.writes for line in lines]
        assert first is second
        assert third == text_frame("another")

    @pytest.mark.parametrize("in_a_turn", [False, True])
    def test_one_that_takes_nothing_is_cut(
        self, outbox: Outbox, line: Line, turn: Turn, loop: StillLoop, in_a_turn: bool
    ) -> None:
        if in_a_turn:
            turn.open()
        while not line.is_cut and line.unsent < 2 * sockets.MAX_UNSENT:
            outbox.send_text("x" * 1000)
        assert line.is_cut
        assert line.unsent <= sockets.MAX_UNSENT + 2000
        loop.pass_time()
        assert line.unsent <= sockets.MAX_UNSENT + 2000

    def test_the_last_frame_goes_behind_all_and_none_behind_it(
        self, outbox: Outbox, line: Line, turn: Turn, loop: StillLoop
    ) -> None:
        turn.open()
        outbox.send_text("one")
        outbox.finish(close_frame(1000, ""))
        outbox.send_text("two")
        loop.pass_time()
        assert b"".join(line.writes) == b"\x81\x03one\x88\x02\x03\xe8"


class TestReading:
    def test_texts_are_handled_where_they_arrive_and_answered_in_one_write(
        self, device: Device, loop: StillLoop
    ) -> None:
        device.listen().hear(frame("a"), frame("b")[:3])
        assert device.texts == ["a"]
        device.hear(frame("b")[3:], frame("c"))
        assert device.texts == ["a", "b", "c"]
        loop.pass_time()
        assert device.line.writes == [b"\x81\x04re a\x81\x04re b\x81\x04re c"]

    def test_texts_wait_until_somebody_wants_them(self, device: Device) -> None:
        device.hear(frame("a"))
        device.hear(frame("b"))
        assert device.line.is_paused
        device.listen()
        assert device.texts == ["a", "b"]
        assert not device.line.is_paused

    def test_after_a_turn_the_others_have_theirs(self, device: Device, loop: StillLoop) -> None:
        count = 2 * sockets.FRAMES_PER_TURN + 1
        device.listen().hear(frame("x") * count)
        assert len(device.texts) == sockets.FRAMES_PER_TURN
        assert device.line.is_paused
        device.hear(frame("y"))
        assert len(device.texts) == sockets.FRAMES_PER_TURN
        loop.pass_time()
        assert device.texts == ["x"] * count + ["y"]
        assert not device.line.is_paused

    def test_a_ping_is_answered_behind_the_texts_before_it(
        self, device: Device, loop: StillLoop
    ) -> None:
        device.listen().hear(frame("a"), frame("here", PING), frame("b"))
        loop.pass_time()
        assert device.line.writes == [b"\x81\x04re a\x8a\x04here\x81\x04re b"]

    def test_one_that_pings_and_does_not_read_is_cut(self, device: Device) -> None:
        device.listen()
        while not device.line.is_cut and device.line.unsent < 2 * sockets.MAX_UNSENT:
            device.hear(frame("x" * 125, PING) * 20)
        assert device.line.is_cut

    def test_what_all_tell_one_in_a_turn_is_written_once(self, loop: StillLoop) -> None:
        turn = Turn()
        phone, radio, kiosk = (on_a_line(Line(), turn) for _ in range(3))
        for each in (phone, radio):
            each.socket.listen(kiosk.socket.outbox.send_text, each.leave)
        phone.hear(frame("one"), frame("two"))
        radio.hear(frame("six"))
        loop.pass_time()
        assert kiosk.line.writes == [b"\x81\x03one\x81\x03two\x81\x03six"]


class TestFirstText:
    async def test_it_comes_alone(self) -> None:
        device = on_a_line(Line())
        first = asyncio.create_task(device.socket.first_text())
        await asyncio.sleep(0)
        device.hear(frame("", PING), frame("hello"), frame("and then"))
        assert await first == "hello"
        assert device.texts == []
        device.listen()
        assert device.texts == ["and then"]
        device.socket.feed_eof()

    @pytest.mark.parametrize("is_polite", [False, True])
    async def test_one_that_leaves_without_it(self, is_polite: bool) -> None:
        device = on_a_line(Line())
        first = asyncio.create_task(device.socket.first_text())
        await asyncio.sleep(0)
        if is_polite:
            device.hear(frame(b"\x03\xe8", CLOSE))
        device.socket.feed_eof()
        with pytest.raises(Closing):
            await first
        with pytest.raises(Closing):
            await device.socket.first_text()


class TestPings:
    def test_one_that_answers_stays(self, device: Device, loop: StillLoop) -> None:
        for count in range(1, 5):
            loop.pass_time(HEARTBEAT)
            assert device.line.writes == [PING_FRAME] * count
            device.hear(frame("", 10))
        assert not device.line.is_cut

    def test_one_that_speaks_need_not_be_asked(self, device: Device, loop: StillLoop) -> None:
        device.listen()
        for _ in range(10):
            loop.pass_time(HEARTBEAT / 2)
            device.hear(frame("x"))
        assert PING_FRAME not in device.line.writes

    def test_one_that_does_not_answer_is_gone(self, device: Device, loop: StillLoop) -> None:
        loop.pass_time(1.4 * HEARTBEAT)
        assert not device.line.is_cut
        loop.pass_time(0.1 * HEARTBEAT)
        assert device.line.is_cut


class TestTheEnd:
    async def test_our_goodbye_comes_last_and_its_answer_is_waited_for(self, loop: Any) -> None:
        device = on_a_line(Line()).listen()
        device.hear(frame("a"))
        device.socket.close(1001, "going")
        gone = device.socket.gone()
        assert b"".join(device.line.writes) == b"\x81\x04re a" + close_frame(1001, "going")
        assert (device.line.is_half_closed, device.leavings) == (True, 1)
        device.hear(frame(b"\x03\xe9", CLOSE), frame("too late"))
        assert (device.texts, gone.done()) == (["a"], False)
        device.socket.feed_eof()
        assert gone.done()
        assert device.socket.gone().done()
        loop.pass_time(2 * HEARTBEAT)
        assert (device.leavings, device.line.is_cut) == (1, False)

    @pytest.mark.parametrize(
        ("last", "code"),
        [
            (frame(b"\x0f\xa0", CLOSE), 4000),
            (frame(b"", CLOSE), 1000),
            (frame("bye"), 4403),
            (frame("x", reserved=4), 1002),
            (frame(b"\xff"), 1007),
        ],
        ids=["goodbye", "without a code", "refused", "malformed", "no UTF-8"],
    )
    def test_answers_come_before_the_end_and_nothing_after(
        self, device: Device, last: bytes, code: int
    ) -> None:
        device.listen().hear(frame("a"), last, frame("b"))
        assert device.texts[0] == "a"
        assert "b" not in device.texts
        sent = b"".join(device.line.writes)
        assert sent.startswith(b"\x81\x04re a\x88")
        assert sent[8:10] == code.to_bytes(2)
        assert device.leavings == 1
        assert not device.line.is_paused

    def test_one_that_does_not_end_its_side_is_cut(self, device: Device, loop: StillLoop) -> None:
        device.listen().socket.close(1000, "")
        loop.pass_time(0.9 * CLOSE_TIMEOUT)
        assert not device.line.is_cut
        loop.pass_time(0.1 * CLOSE_TIMEOUT)
        assert device.line.is_cut

    def test_a_line_without_halves_is_closed(self, loop: StillLoop) -> None:
        device = on_a_line(Line(knows_halves=False)).listen()
        device.socket.close(1000, "")
        assert device.line.is_closed

    def test_one_that_did_not_wait_for_our_goodbye_is_cut(self, device: Device) -> None:
        def refuse() -> None:
            raise OSError(errno.ENOTCONN, "not connected")

        device.line.write_eof = refuse  # type: ignore[method-assign]
        device.listen().hear(frame(b"\x03\xe8", CLOSE))
        assert (device.line.is_cut, device.leavings) == (True, 1)

    def test_one_that_vanishes_has_left_once(self, device: Device, loop: StillLoop) -> None:
        device.listen().socket.feed_eof()
        device.socket.close(1000, "")
        loop.pass_time(2 * HEARTBEAT)
        assert (device.leavings, device.line.writes) == (1, [])

    def test_whoever_listens_too_late_is_told_so(self, device: Device) -> None:
        device.socket.close(1000, "")
        device.listen()
        assert device.leavings == 1

    def test_a_turn_that_was_put_off_finds_the_end(self, device: Device, loop: StillLoop) -> None:
        device.listen().hear(frame("x") * (sockets.FRAMES_PER_TURN + 1))
        device.socket.close(1000, "")
        loop.pass_time()
        assert len(device.texts) == sockets.FRAMES_PER_TURN
        assert not device.line.is_paused

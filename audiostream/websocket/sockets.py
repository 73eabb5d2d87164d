"""One device's WebSocket after its handshake: what comes is handled at once, and what goes is
bounded.

Here: reading, writing, pings and the end of a connection (RFC 6455 §5 to §7). Not here: what
frames are (``frames``), the handshake, who a device is and what its texts do (``gateway``).

Once the handshake is over, the connection's bytes come straight here (``arrivals``), and texts are
handled where they arrive, without a task that would have to be woken for each::

    bytes ──► FrameReader ──► receive(text) ──► Outbox of each device that is told
                                                    │ frames of one turn together
              ping ──► pong                         ▼
              close, a broken frame ──► the end   transport

A device that stops reading fills its transport's buffer and is cut; nobody waits for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from .arrivals import Arrivals, Upgraded
from .frames import (
    PING_FRAME,
    Close,
    Closing,
    FrameReader,
    Ping,
    Pong,
    close_frame,
    ping_frame,
    pong_frame,
    text_frame,
)

MAX_UNSENT: Final = 256 * 1024
"""Bytes that may wait for a device; where there are more, the next frame cuts it."""
CLOSE_TIMEOUT = 1.0
"""Seconds that a device has to end its side of a connection, before it is cut."""
HEARTBEAT = 30.0
"""Seconds of silence before a ping; a device that does not answer within half of it is gone."""
FRAMES_PER_TURN: Final = 32
"""Frames of one device handled in a row before the others get their turn."""
MOST_HOLDING: Final = 64
"""Devices with something to take from which on the end of the turn is not waited for."""
MAX_HELD: Final = 16 * 1024
"""Bytes for one device from which on the end of the turn is not waited for."""

NORMAL = 1000

_log = logging.getLogger(__name__)


class Turn:
    """From the first frame that is handled in a turn of the event loop to the end of that turn,
    what devices are told is held back.

    One for all outboxes of an application: what many frames tell a device is written at once, and
    whoever is woken by the first write of a turn finds more of them when it looks.
    """

    __slots__ = ("_frame", "_holding", "_text", "is_open")

    def __init__(self) -> None:
        self.is_open = False
        self._holding: list[Outbox] = []
        self._text, self._frame = "", text_frame("")

    def open(self) -> None:
        """Hold frames back from now on, until the end of the loop's turn."""
        if not self.is_open:
            self.is_open = True
            asyncio.get_running_loop().call_soon(self._end)

    def frame_of(self, text: str) -> bytes:
        """A text as a frame. What a room is told is written once for all of its devices."""
        if text != self._text:
            self._text, self._frame = text, text_frame(text)
        return self._frame

    def hold(self, outbox: Outbox) -> None:
        """Write what ``outbox`` holds at the end, or once many hold something."""
        self._holding.append(outbox)
        if len(self._holding) >= MOST_HOLDING:
            self._write()

    def _end(self) -> None:
        self.is_open = False
        self._write()

    def _write(self) -> None:
        holding, self._holding = self._holding, []
        for outbox in holding:
            outbox.flush()


class Outbox:
    """What one device still has to take, bounded.

    While a turn is open frames are held until its end, otherwise written where they are offered.
    What the system does not take at once waits in the transport's own buffer.
    """

    __slots__ = ("_held", "_held_size", "_is_finished", "_transport", "_turn")

    def __init__(self, transport: asyncio.WriteTransport, turn: Turn) -> None:
        self._transport = transport
        self._turn = turn
        self._held: list[bytes] | None = None
        self._held_size = 0
        self._is_finished = False

    def send_text(self, text: str) -> None:
        """Send a text. Never waits: a device that lets too much pile up is cut."""
        self.send(self._turn.frame_of(text))

    def send(self, frame: bytes) -> None:
        """The same, of a frame."""
        if self._is_finished or self._transport.is_closing():
            return
        if self._transport.get_write_buffer_size() + self._held_size > MAX_UNSENT:
            _log.info("cut a device that stopped reading")
            self._transport.abort()
        elif not self._turn.is_open:
            self._transport.write(frame)
        elif self._held is None:
            self._held, self._held_size = [frame], len(frame)
            self._turn.hold(self)
        else:
            self._held.append(frame)
            self._held_size += len(frame)
            if self._held_size >= MAX_HELD:
                self._write_held()
                self._held = []  # the turn still knows of it

    def flush(self) -> None:
        """Write what is held back, as the turn ends."""
        self._write_held()
        self._held = None

    def finish(self, last: bytes = b"") -> None:
        """Take no more frames after the ``last``, which goes behind all that was offered.

        Without one nobody is there any more to take anything.
        """
        if last and not self._is_finished and not self._transport.is_closing():
            self._write_held()
            self._transport.write(last)
        self._held = None
        self._is_finished = True

    def _write_held(self) -> None:
        held = self._held
        if held and not self._transport.is_closing():
            self._transport.write(held[0] if len(held) == 1 else b"".join(held))
        self._held_size = 0


class DeviceSocket:
    """A WebSocket in the place of aiohttp's parser of a connection that was upgraded.

    Texts wait until somebody wants them. ``heard_at`` is when something came last, in seconds of
    the loop's time.
    """

    __slots__ = (
        "_answer",
        "_answered",
        "_asked",
        "_is_closing",
        "_is_gone",
        "_is_paused",
        "_leave",
        "_loop",
        "_reader",
        "_reading",
        "_receive",
        "_timer",
        "_transport",
        "_turn",
        "_waiting",
        "heard_at",
        "outbox",
    )

    def __init__(self, transport: asyncio.Transport, max_message: int, turn: Turn) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self._turn = turn
        self._reader = FrameReader(max_message)
        self._reading: asyncio.Transport | Upgraded = transport
        self._receive: Callable[[str], None] | None = None
        self._leave: Callable[[], None] | None = None
        self._is_closing = False
        self._is_gone = False
        self._is_paused = False
        self.heard_at = self._loop.time()
        self._timer = self._loop.call_later(HEARTBEAT, self._beat)
        self.outbox = Outbox(transport, turn)
        self._asked = 0
        self._answered: Callable[[], None] | None = None
        self._answer: asyncio.TimerHandle | None = None
        self._waiting: tuple[asyncio.Future[None], ...] = ()

    def take_over(self, arrivals: Arrivals) -> None:
        """Have what arrives from now on come here, past the protocols that led to the upgrade."""
        self._reading = arrivals.upgrade(self._transport, self.feed_data)
        if not self._is_paused:
            self._reading.resume_reading()

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """Take what has arrived; answers what aiohttp wants of its parsers."""
        if not self._is_closing:
            self.heard_at = self._loop.time()
            self._reader.feed(data)
            if not self._is_paused:
                self._go_on()
        return False, b""

    def feed_eof(self) -> None:
        """The connection is gone."""
        self._is_gone = True
        self._timer.cancel()
        self._stop_listening()
        self.outbox.finish()
        for each in self._waiting:
            if not each.done():
                each.set_result(None)

    def gone(self) -> asyncio.Future[None]:
        """Done once the connection is gone. Everybody gets one's own, and may cancel it."""
        gone: asyncio.Future[None] = self._loop.create_future()
        if self._is_gone:
            gone.set_result(None)
        else:
            self._waiting += (gone,)
        return gone

    async def first_text(self) -> str:
        """The text of the first message. Raises ``Closing`` where the device leaves before."""
        first: asyncio.Future[str] = self._loop.create_future()

        def receive(text: str) -> None:
            self._receive = None
            if not first.done():
                first.set_result(text)

        def leave() -> None:
            if not first.done():
                first.set_exception(Closing(NORMAL, ""))

        self.listen(receive, leave)
        return await first

    def listen(self, receive: Callable[[str], None], leave: Callable[[], None]) -> None:
        """From now on ``receive`` gets each text; it may raise ``Closing``.

        ``leave`` is told once, as soon as no more texts come.
        """
        if self._is_closing or self._is_gone:
            leave()
            return
        self._receive, self._leave = receive, leave
        self._go_on()

    def ask(self, answered: Callable[[], None], timeout: float) -> None:
        """Call ``answered`` once the device has read all that was offered, by a ping behind it.

        Also after ``timeout`` seconds without a pong, but not once texts have come to their end.
        One question at a time.
        """
        self._asked += 1
        self._answered = answered
        self._answer = self._loop.call_later(timeout, self._hear_answer)
        self.outbox.send(ping_frame(str(self._asked).encode()))

    def hold(self) -> None:
        """Let texts wait from now on, until ``listen`` is called again."""
        self._receive = None

    def close(self, code: int, reason: str) -> None:
        """Say goodbye behind all that was offered, and read to the other side's end (§7.1.1).

        Does not wait for it; after CLOSE_TIMEOUT the device is cut.
        """
        if self._is_closing or self._is_gone:
            return
        self._is_closing = True
        self._timer.cancel()
        self._timer = self._loop.call_later(CLOSE_TIMEOUT, self._cut)
        self.outbox.finish(close_frame(code, reason))
        self._stop_listening()
        if not self._transport.can_write_eof():  # TLS knows no half of a connection
            self._transport.close()
            return
        try:
            self._transport.write_eof()
        except OSError:  # the other side has not waited for it
            self._transport.abort()
        self._resume()

    def _go_on(self) -> None:
        """Handle what has arrived, or a turn's share of it."""
        if self._is_closing or self._is_gone:
            return
        self._turn.open()
        reader = self._reader
        try:
            for _ in range(FRAMES_PER_TURN):
                if self._receive is None:
                    self._pause()
                    return
                message = reader.read() if reader.unread else None
                if message is None:
                    self._resume()
                    return
                if isinstance(message, str):
                    self._receive(message)
                else:
                    self._obey(message)
            self._pause()
            self._loop.call_soon(self._go_on)
        except Closing as closing:
            self.close(closing.code, str(closing))

    def _obey(self, message: Ping | Pong | Close) -> None:
        if isinstance(message, Ping):
            self.outbox.send(pong_frame(message.payload))
        elif isinstance(message, Pong):
            if message.payload == str(self._asked).encode():
                self._hear_answer()
        else:
            raise Closing(message.code or NORMAL, "")

    def _hear_answer(self) -> None:
        answered = self._answered
        self._forget_question()
        if answered is not None:
            answered()

    def _forget_question(self) -> None:
        self._answered = None
        if self._answer is not None:
            self._answer.cancel()
            self._answer = None

    def _stop_listening(self) -> None:
        self._forget_question()
        leave, self._receive, self._leave = self._leave, None, None
        if leave is not None:
            leave()

    def _pause(self) -> None:
        if not self._is_paused:
            self._is_paused = True
            self._reading.pause_reading()

    def _resume(self) -> None:
        if self._is_paused:
            self._is_paused = False
            self._reading.resume_reading()

    def _beat(self) -> None:
        """Ping a device that has been silent, and let go of one that does not answer."""
        silent_for = self._loop.time() - self.heard_at
        if silent_for >= 1.5 * HEARTBEAT:
            self._transport.abort()
            return
        wait = HEARTBEAT - silent_for
        if silent_for >= HEARTBEAT:
            self.outbox.send(PING_FRAME)
            wait = 1.5 * HEARTBEAT - silent_for
        self._timer = self._loop.call_later(wait, self._beat)

    def _cut(self) -> None:
        _log.info("cut a device that did not close in time")
        self._transport.abort()

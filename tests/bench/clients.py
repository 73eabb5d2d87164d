"""The load generator: many connections, one thread, as little work as a byte allows.

Requests are encoded before the clock starts; loops keep a number of them open and count the
responses. Bodies are read into one buffer and discarded, frames are counted by their lengths: one
core of this keeps a server's core busy.

Times are in seconds of ``time.perf_counter``.
"""

from __future__ import annotations

import select
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

from .servers import (
    GENERATOR_CORE,
    PATIENCE,
    SERVER_CORE,
    Server,
    Times,
    network_time,
    times,
    token,
)

TEXT, PING, PONG = 0x81, 0x89, 0x8A
"""First bytes of whole frames (RFC 6455 §5.2)."""
_SINK = bytearray(1 << 20)
_BATCH = 1 << 16


@dataclass(frozen=True, slots=True)
class Load:
    """What a window of ``seconds`` brought: ``done`` answers, and the processor's time of both.

    ``network`` is that of the kernel's own network threads, on the core of each: work of this
    load, for which the two wait.
    """

    done: float
    seconds: float
    server: Times
    generator: Times
    network: tuple[float, float] = (0.0, 0.0)

    @property
    def rate(self) -> float:
        return self.done / self.seconds

    @property
    def cost(self) -> float:
        """Microseconds of the server's processor for each answer."""
        return self.server.ran / max(self.done, 1e-9) * 1e6

    @property
    def is_disturbed(self) -> bool:
        """Whether others had a good part of a core that one of the two could have used.

        Threads of one server wait for each other too, but then it has the whole core.
        """
        kept = 0.1 * self.seconds
        has_all = self.server.ran > 0.9 * self.seconds
        servers, generators = self.network
        return self.generator.waited - generators > kept or (
            self.server.waited - servers > kept and not has_all
        )


def clocked(server: Server, run: Callable[[], float]) -> Load:
    """Run something that answers how much was done, and look at the clocks around it."""
    before = [network_time(core) for core in (SERVER_CORE, GENERATOR_CORE)]
    ours, theirs, began = times("self"), server.times(), time.perf_counter()
    done = run()
    seconds = time.perf_counter() - began
    its, mine = server.times() - theirs, times("self") - ours
    after = [network_time(core) for core in (SERVER_CORE, GENERATOR_CORE)]
    return Load(done, seconds, its, mine, (after[0] - before[0], after[1] - before[1]))


@dataclass(eq=False, slots=True)
class Download:
    """A connection that asks for the same bytes again and again."""

    line: socket.socket
    request: bytes
    length: int
    missing: int = 0
    due: float = 0.0

    @classmethod
    def open(
        cls, server: Server, path: str, first: int, count: int | None, fields: str = ""
    ) -> Download:
        """Ask once, and look at the whole answer. ``count`` bytes from ``first`` on, or all.

        ``fields`` are further header fields, each with its CRLF.
        """
        each = cls(_connected(server), _request(path, first, count, fields), 0)
        each.line.sendall(each.request)
        head = b""
        while b"\r\n\r\n" not in head:
            head = each.line.recv(4096, socket.MSG_PEEK)
        head = head.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        status = b"200" if count is None else b"206"
        answered = dict(field.split(b": ", 1) for field in head.lower().split(b"\r\n")[1:-2])
        length = int(answered[b"content-length"])
        if head.split(b" ", 2)[1] != status or length != (count or length):
            raise RuntimeError(f"{server.name} answered {head!r}")
        each.length = each.missing = len(head) + length
        while each.missing:
            each.take()
        each.line.setblocking(False)
        return each

    def another(
        self, server: Server, path: str, first: int, count: int | None, fields: str = ""
    ) -> Download:
        """One more, whose answers are as long as those of this one."""
        line = _connected(server)
        line.setblocking(False)
        return Download(line, _request(path, first, count, fields), self.length)

    def ask(self) -> None:
        self.missing = self.length
        self.line.send(self.request)

    def take(self) -> int:
        """Read what has come; answer how much it was. Raises ``ConnectionError``."""
        count = self.line.recv_into(_SINK, min(self.missing, len(_SINK)))
        if not count:
            raise ConnectionError("the server closed a connection")
        self.missing -= count
        return count


def _connected(server: Server) -> socket.socket:
    line = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return line


def _request(path: str, first: int, count: int | None, fields: str) -> bytes:
    asked = "" if count is None else f"Range: bytes={first}-{first + count - 1}\r\n"
    return f"GET {path} HTTP/1.1\r\nHost: bench\r\n{asked}{fields}\r\n".encode()


def download(downloads: Sequence[Download], seconds: float) -> float:
    """Keep one request open on each connection; answer how many answers came.

    After ``seconds`` nothing is asked any more, and what is under way is waited for: with many
    connections there is more of it in buffers than comes in a window, and the server has worked
    for it. Raises ``TimeoutError``.
    """
    poll = select.epoll()
    by_file = {each.line.fileno(): each for each in downloads}
    for file, each in by_file.items():
        poll.register(file, select.EPOLLIN)
        each.ask()
    done, busy, clock = 0, len(downloads), time.perf_counter
    end = clock() + seconds
    while busy:
        for file, _ in poll.poll(0.1):
            each = by_file[file]
            each.take()
            if each.missing:
                continue
            done += 1
            if clock() < end:
                each.ask()
            else:
                busy -= 1
        if clock() > end + PATIENCE:
            raise TimeoutError(f"{busy} answers have not come in {PATIENCE:.0f} s")
    poll.close()
    return done


@dataclass(eq=False, slots=True)
class Frames:
    """A WebSocket connection on which whole text frames are counted."""

    line: socket.socket
    rest: bytes = b""
    due: deque[float] = field(default_factory=deque)

    @classmethod
    def open(cls, server: Server, path: str, user: str) -> Frames:
        line = _connected(server)
        line.sendall(
            f"GET {path} HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            f"Authorization: Bearer {token(user)}\r\n\r\n".encode()
        )
        head = b""
        while b"\r\n\r\n" not in head:
            piece = line.recv(4096)
            if not piece:
                raise ConnectionError(f"{server.name} closed a handshake")
            head += piece
        head, _, rest = head.partition(b"\r\n\r\n")
        if b" 101 " not in head:
            raise RuntimeError(f"{server.name} answered {head!r}")
        return cls(line, rest)

    def send(self, frames: bytes) -> None:
        """Send, and wait where the server does not take it at once."""
        sent = self.line.send(frames)
        if sent < len(frames):
            self.line.setblocking(True)
            self.line.sendall(frames[sent:])
            self.line.setblocking(False)

    def take(self) -> int:
        """Read what has come; answer the number of text frames that are whole with it.

        Pings are answered: until then the server holds the reports of a device that was silent.
        """
        piece = self.line.recv(_BATCH)
        if not piece:
            raise ConnectionError("the server closed a connection")
        data = self.rest + piece if self.rest else piece
        count = begin = 0
        length = len(data)
        while begin + 2 <= length:
            size, head = data[begin + 1], 2
            if size == 126:
                if begin + 4 > length:
                    break
                size, head = (data[begin + 2] << 8) | data[begin + 3], 4
            elif size == 127:
                if begin + 10 > length:
                    break
                size, head = int.from_bytes(data[begin + 2 : begin + 10]), 10
            if begin + head + size > length:
                break
            count += data[begin] == TEXT
            if data[begin] == PING:
                self.send(_masked(PONG, data[begin + head : begin + head + size]))
            begin += head + size
        self.rest = data[begin:]
        return count

    def forget(self) -> None:
        """Read whatever has come, and count nothing."""
        self.line.setblocking(False)
        with suppress(BlockingIOError):
            while self.line.recv(len(_SINK)):
                pass

    def wait_for(self, count: int) -> None:
        """Wait until ``count`` frames have come."""
        self.line.setblocking(True)
        self.line.settimeout(PATIENCE)
        while count > 0:
            count -= self.take()


def text_frame(text: str) -> bytes:
    """A client's text frame."""
    return _masked(TEXT, text.encode())


def _masked(first: int, payload: bytes) -> bytes:
    """A client's frame; its mask is of zeros (RFC 6455 §5.2 and 5.3)."""
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2)
    return bytes([first]) + length + bytes(4) + payload


def end_gap(lines: Sequence[Frames], round_: bytes) -> None:
    """Have reports applied as they come: after 2 s without a text they wait for a pong (R22).

    ``round_`` is a report and a question, which one frame answers.
    """
    for _ in range(2):  # the ping comes with the first answer or the second
        for each in lines:
            each.send(round_)
            each.wait_for(1)


def converse(
    rooms: Sequence[Sequence[Frames]], question: bytes, answers: int, window: int, seconds: float
) -> float:
    """Let the first connection of each room keep ``window`` questions open; answer how many were
    answered. Each question is answered by ``answers`` frames on the connections of its room.
    """
    poll = select.epoll()
    by_file, heard = {}, [0] * len(rooms)
    for number, room in enumerate(rooms):
        for each in room:
            each.line.setblocking(False)
            by_file[each.line.fileno()] = (each, number, room[0])
            poll.register(each.line.fileno(), select.EPOLLIN)
    questions = [question * count for count in range(window + 1)]
    for room in rooms:
        room[0].send(questions[window])
    done, clock = 0, time.perf_counter
    end = clock() + seconds
    while clock() < end:
        for file, _ in poll.poll(0.1):
            each, number, first = by_file[file]
            heard[number] += each.take()
            if heard[number] >= answers:
                count, heard[number] = divmod(heard[number], answers)
                done += count
                first.send(questions[count])
    poll.close()
    for number, room in enumerate(rooms):  # what is still under way belongs to no later window
        _drain(room, window * answers - heard[number])
    return done


def _drain(room: Sequence[Frames], missing: int) -> None:
    patience = time.monotonic() + PATIENCE
    while missing > 0:
        readable, _, _ = select.select([each.line for each in room], [], [], PATIENCE)
        missing -= sum(each.take() for each in room if each.line in readable)
        if time.monotonic() > patience:
            raise TimeoutError(f"{missing} answers have not come")


def in_turn(lines: Sequence[Frames], question: bytes, open_at_once: int, count: int) -> float:
    """Ask ``count`` questions, each on the next connection; one frame answers each."""
    poll = select.epoll()
    by_file = {each.line.fileno(): each for each in lines}
    for file, each in by_file.items():
        each.line.setblocking(False)
        poll.register(file, select.EPOLLIN)
    asked = done = 0
    while done < count:
        while asked < count and asked - done < open_at_once:
            lines[asked % len(lines)].send(question)
            asked += 1
        events = poll.poll(PATIENCE)
        if not events:
            raise TimeoutError(f"{count - done} answers have not come")
        done += sum(by_file[file].take() for file, _ in events)
    poll.close()
    return done


def paced(
    lines: Sequence[Frames], question: bytes, answers: int, rate: float, seconds: float
) -> list[float]:
    """Ask ``rate`` questions a second, whatever the answers do; answer each one's latency.

    A question counts from the moment at which it was due, so that a stall is seen by all that
    were due in it.
    """
    poll = select.epoll()
    by_file = {each.line.fileno(): (each, [0]) for each in lines}
    for file, (each, _) in by_file.items():
        each.line.setblocking(False)
        poll.register(file, select.EPOLLIN)
    latencies: list[float] = []
    clock, asked, total = time.perf_counter, 0, int(rate * seconds)
    began = clock()
    patience = began + seconds + PATIENCE
    while len(latencies) < total:
        now = clock()
        if now > patience:
            raise TimeoutError(f"{total - len(latencies)} answers have not come")
        while asked < total and began + asked / rate <= now:
            each = lines[asked % len(lines)]
            each.due.append(began + asked / rate)
            each.send(question)
            asked += 1
        for file, _ in poll.poll(0):
            each, heard = by_file[file]
            heard[0] += each.take()
            now = clock()
            while heard[0] >= answers:
                heard[0] -= answers
                latencies.append(now - each.due.popleft())
    poll.close()
    return latencies


def closing(stack: ExitStack, lines: Sequence[Download] | Sequence[Frames]) -> None:
    """Close the connections at the end of the stack."""
    for each in lines:
        stack.callback(each.line.close)

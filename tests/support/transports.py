"""Transports and an event loop that a test controls, for connections without a network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(eq=False)
class FakeTransport:
    """A transport whose peer reads nothing. ``writes`` keeps what was written."""

    writes: list[bytes] = field(default_factory=list)
    is_aborted: bool = False
    is_closed: bool = False
    is_half_closed: bool = False
    can_half_close: bool = True
    error_at_half_close: OSError | None = None

    @property
    def unsent(self) -> int:
        return sum(map(len, self.writes))

    @property
    def sent(self) -> bytes:
        return b"".join(self.writes)

    def write(self, data: bytes) -> None:
        assert not self.is_half_closed, "written behind the end"
        self.writes.append(bytes(data))

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def is_closing(self) -> bool:
        return self.is_aborted or self.is_closed

    def abort(self) -> None:
        self.is_aborted = True

    def close(self) -> None:
        self.is_closed = True

    def can_write_eof(self) -> bool:
        return self.can_half_close

    def write_eof(self) -> None:
        if self.error_at_half_close is not None:
            raise self.error_at_half_close
        self.is_half_closed = True


@dataclass(eq=False)
class FakeTimer:
    """A scheduled callback."""

    at: float
    callback: Callable[..., object]
    arguments: tuple[object, ...] = ()
    is_cancelled: bool = False

    def cancel(self) -> None:
        self.is_cancelled = True


@dataclass(eq=False)
class FakeLoop:
    """The clock and timers of an event loop; time passes in ``advance`` alone."""

    now: float = 100.0
    timers: list[FakeTimer] = field(default_factory=list)

    def time(self) -> float:
        return self.now

    def call_later(
        self, delay: float, callback: Callable[..., object], *arguments: object
    ) -> FakeTimer:
        self.timers.append(FakeTimer(self.now + delay, callback, arguments))
        return self.timers[-1]

    def call_soon(self, callback: Callable[..., object], *arguments: object) -> FakeTimer:
        return self.call_later(0, callback, *arguments)

    def advance(self, seconds: float = 0.0) -> None:
        """Run what is due within ``seconds``; without an argument, to the end of an iteration."""
        end = self.now + seconds
        while due := [each for each in self.timers if not each.is_cancelled and each.at <= end]:
            first = min(due, key=lambda each: each.at)
            self.timers.remove(first)
            self.now = max(self.now, first.at)
            first.callback(*first.arguments)
        self.now = end

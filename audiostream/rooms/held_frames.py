"""``HeldFrames``: what a room sends while it is not stored yet, and the queues that hold it."""

from __future__ import annotations

from dataclasses import dataclass, field

from .device import SendQueue


@dataclass(eq=False, slots=True)
class HeldFrames:
    """The frames of one room. ``is_holding``: they wait for ``release`` or ``discard``."""

    is_holding: bool = False
    _frames: list[tuple[SendQueue, str]] = field(default_factory=list)

    def hold(self) -> None:
        """Hold what is sent from now on."""
        self.is_holding = True

    def add(self, queue: SendQueue, text: str) -> None:
        self._frames.append((queue, text))

    def release(self) -> None:
        """Send what is held, in its order, and hold nothing more."""
        self.is_holding = False
        frames, self._frames = self._frames, []
        for queue, text in frames:
            queue.send_text(text)

    def discard(self) -> None:
        """Drop what is held, and hold nothing more."""
        self.is_holding = False
        self._frames.clear()


@dataclass(eq=False, slots=True)
class HeldSendQueue:
    """The send queue of one device, behind the held frames of its room."""

    queue: SendQueue
    held: HeldFrames

    def send_text(self, text: str) -> None:
        """Queue a frame, or hold it."""
        if self.held.is_holding:
            self.held.add(self.queue, text)
        else:
            self.queue.send_text(text)

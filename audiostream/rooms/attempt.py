"""``Attempt``: an action that has run in a shared room, and is stored, or undone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from ..errors import AudiostreamError
from ..playback.model import NOBODY, ROOM, Recipients, State
from ..storage.shared_store import Change
from .room_queue import QUEUE_UPDATED
from .saved_room import SavedRoom

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Attempt(Generic[T]):
    """What the room was before the action, and what it returned, or the ``error`` that it raised.

    ``change`` is to be stored; None where the state is as it was.
    """

    saved: SavedRoom
    value: T | None
    error: AudiostreamError | None
    change: Change | None

    def result(self) -> T:
        """Return what the action returned, or raise what it raised."""
        if self.error is not None:
            raise self.error
        value: T = self.value  # type: ignore[assignment]  # the action's own type
        return value


class BroadcastNotes:
    """What an action has sent to its room: other processes send the same to their devices."""

    __slots__ = ("_sent",)

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self._sent: list[tuple[str, Recipients]] = []

    def add(self, event: str, recipients: Recipients) -> None:
        """Note that the state, or the queue, was sent as ``event``."""
        self._sent.append((event, recipients))

    def summary(self, state: State) -> tuple[str, str]:
        """Return the one event that other processes send, and the name of the recipients.

        Several events of one action, as of a track that ends and a command, are one there.
        """
        states = [each for each in self._sent if each[0] != QUEUE_UPDATED]
        if len(states) > 1:
            event = "trackPlaying" if state.is_playing else "trackPaused"
            return event, ROOM.name
        if self._sent:
            event, recipients = (states or self._sent)[0]
            return event, recipients.name
        return "trackUpdated", NOBODY.name

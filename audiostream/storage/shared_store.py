"""``SharedStore``: the playback of all users, shared by several processes; and its values.

A user's playback has a ``version`` that grows by 1 with each stored change. A process applies a
command to the state that it knows, and stores the result if the version is still the one that it
knows: a compare-and-set. All moments are epoch seconds of the store's clock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from ..playback.history import PlayedTrack
from ..playback.lifecycle import NEVER_PLAYED
from ..playback.model import DeviceRef, Snapshot, State, StopPoint
from .play_history import HistoryEntry

ANSWER_TIMEOUT: Final = 2.0
"""Seconds that the store has to answer: what a command may wait for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRow:
    """A connected device as other processes know it.

    Written where it connects, begins or ends to play, or has another name or volume: not with each
    report. ``process_id``: of the process that holds its connection. ``current``: what it
    did when the row was written, None if that is not known.
    """

    ref: DeviceRef
    process_id: str
    name: str | None = None
    connected_at: float = 0.0
    reports_playing: bool = False
    current: Snapshot | None = None
    volume: float | None = None
    muted: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRoom:
    """What the store has of a user. ``version`` 0: nothing.

    ``change_id`` is that of the change that led to it.
    ``applied_ids`` are the ``commandId`` values that took effect, the last one last.
    """

    version: int = 0
    change_id: str = ""
    state: State = NEVER_PLAYED
    applied_ids: tuple[str, ...] = ()
    devices: tuple[DeviceRow, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceChanges:
    """What processes send each other about a user's devices.

    ``rows`` are added or replaced, ``removed`` are keys. ``frames`` are texts for single devices of
    other processes, by key; ``checked`` are keys of devices that are asked whether they are alive.
    """

    rows: tuple[DeviceRow, ...] = ()
    removed: tuple[int, ...] = ()
    frames: tuple[tuple[int, str], ...] = ()
    checked: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.rows or self.removed or self.frames or self.checked)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change of a user's playback, to be stored as ``version`` if ``expected_version`` is stored.

    ``change_id`` is unique: a change that is sent again, as its answer was lost, is stored once.
    ``writes_queue``: the tracks of the queue differ from those of ``expected_version``.
    ``event`` and ``recipients`` (the name of a ``Recipients``) are what other processes send their
    devices.
    """

    user_id: str
    process_id: str
    change_id: str
    expected_version: int
    version: int
    state: State
    writes_queue: bool
    applied_ids: tuple[str, ...] = ()
    stop_points: tuple[StopPoint, ...] = ()
    played: tuple[PlayedTrack, ...] = ()
    event: str = "trackUpdated"
    recipients: str = "NOBODY"
    devices: DeviceChanges = DeviceChanges()


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """What a process receives after another's ``commit`` or ``announce``; after its own, too.

    ``change``: None after ``announce``, where the version stays. Of a change, ``stop_points`` and
    ``played`` are left out; where it does not write the queue, ``state.queue.track_ids`` is empty
    and those of the version before stay.
    """

    user_id: str
    process_id: str
    change: Change | None
    devices: DeviceChanges = DeviceChanges()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessTimes:
    """The store's clock, and when each process was last renewed, by process id."""

    now: float
    renewed_at: Mapping[str, float]


class Subscription(Protocol):
    """The publications of some users."""

    async def add(self, user_id: str) -> None:
        """Receive what is published of a user from the return on; ``run`` must be running.

        Raises ``Unavailable``.
        """

    async def remove(self, user_id: str) -> None:
        """Receive nothing more of a user. Does not raise: what still comes is to be ignored."""

    async def run(
        self,
        on_publication: Callable[[Publication], None],
        on_gap: Callable[[], None],
    ) -> None:
        """Receive until cancelled, over a connection that is made again where it is lost.

        ``on_gap`` is called after each loss, once all users are subscribed again: publications may
        have been missed. A publication that cannot be read is logged and left out.
        """


class SharedStore(Protocol):
    """A store that several processes share. Each method is one round trip.

    Each raises ``Unavailable`` where the store cannot be reached, and where it has not answered
    within ANSWER_TIMEOUT, and ``StoreError`` where what is stored cannot be read. Each may be
    cancelled, which leaves open whether it was done.
    """

    async def open(self) -> None:
        """Connect. Raises ``StoreError``, with what to do, where the store cannot be used."""

    async def load(self, user_id: str) -> StoredRoom:
        """Return what is stored of a user. Raises ``Unavailable`` where it cannot be read, too."""

    async def commit(self, change: Change) -> StoredRoom | None:
        """Store a change, publish it and return None; or return what is stored in its place.

        ``Unavailable`` leaves open whether it was stored: the same change may be sent again, and is
        stored once, also where others were stored since. Raises ``ValueError`` for NaN, Infinity.
        """

    async def announce(self, user_id: str, process_id: str, devices: DeviceChanges) -> None:
        """Store and publish what has changed of a user's devices."""

    async def versions(self, user_ids: Sequence[str]) -> list[tuple[int, str]]:
        """Return the stored versions of some users, and the ids of the changes that led to them.

        They differ where the store has lost changes, and others have been stored since.
        """

    async def stop_point(self, user_id: str, track_id: str) -> float | None:
        """Return where a user last stopped in a track, in seconds; None where never."""

    async def stop_points(self, user_id: str, track_id: str) -> list[StopPoint]:
        """Return where a user stopped in a track, the newest first."""

    async def history(
        self, user_id: str, is_listed: Callable[[str], bool], limit: int
    ) -> list[HistoryEntry]:
        """Return up to ``limit`` tracks that a user played and still has, the last one first."""

    async def renew(self, process_id: str) -> ProcessTimes:
        """Note that a process is alive. Those that are silent for a day are forgotten."""

    async def leave(self, process_id: str) -> None:
        """Note that a process ends."""

    async def revoked(self) -> dict[str, float] | None:
        """Return when each user was last revoked; None where that has not changed since the last
        call. What the store has lost of it since the last call stays, and is stored again.
        """

    async def revoke(self, user_id: str, at: float) -> None:
        """End a user's credentials issued before ``at``; see ``revocations.revoke``."""

    async def exchange(
        self, process_id: str, streams: Mapping[str, int], commands: Mapping[str, int]
    ) -> Mapping[str, tuple[int, int]]:
        """Note what users have here, and return what they have in all other processes.

        ``streams``: streams that are open now (0 where the last one ended), ``commands``: REST
        commands since the last call. Returned by user id: streams of other processes that are alive
        (noted within the last 15 s), and commands that others noted since this process's last call.
        """

    def subscription(self) -> Subscription:
        """Return a subscription without users."""

    async def close(self) -> None:
        """Close all connections. Does not raise."""

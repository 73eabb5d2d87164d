"""``TransactionalRoom``: a room that sends the outcome of an action once it is stored.

An action runs on the state that this process knows, and what it sends is held. Where the state
stays as it was, that is sent, and nothing is stored: most reports. Else the outcome is a
``Change``, which is stored only if no other process has stored one since; then it is sent, else
undone::

    apply ─► attempt ─► state as before ─► settle: frames go out
                  └───► RoomWaits; perform ─► attempt ─► commit ─► stored ─► confirm
                                                 ▲            └──► lost ───► roll_back, adopt ─┐
                                                 └─────────────────────────────────────────────┘
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from ..errors import AudiostreamError
from ..playback.commands import TransferPlayback
from ..playback.model import ROOM, Recipients
from ..protocol.decode import Command
from ..protocol.envelope import Frame, FrameId
from ..storage.shared_store import Change
from .attempt import Attempt, BroadcastNotes
from .broadcast import select_recipients
from .device import Device
from .device_rows import DeviceRows
from .held_frames import HeldFrames
from .process_context import ProcessContext
from .replicas import record_sent_to_replica
from .room import Room
from .room_context import RoomContext
from .room_queue import QUEUE_UPDATED
from .room_waits import RoomWaits
from .saved_room import SavedRoom

AGAIN = "again-"
"""The beginning of the ids of changes that store what the store has lost: no user acts by them, so
that a change by which one does counts (``adoption.has_lost``)."""
CHANGES_KNOWN = 16
"""Last changes of which a room knows the ids: more than a user makes within the second or two that
a store may lose."""
T = TypeVar("T")


class TransactionalRoom(Room):
    """One user's room in one of several processes.

    ``version`` is the newest that is known, ``stored_version`` the one that a change must replace:
    the same, unless the store has lost changes. ``last_change``: ``version``, and the id of the
    change that led to it. ``is_live``: what other processes store and announce is received.
    ``is_busy``: somebody has the room's turn, and may await the store.
    """

    __slots__ = (
        "_is_in_action",
        "_is_queue_stored",
        "_known_changes",
        "_notes",
        "held",
        "is_busy",
        "is_live",
        "last_change",
        "local_devices",
        "process",
        "rows",
        "stored_version",
        "version",
    )

    def __init__(self, user_id: str, context: RoomContext, process: ProcessContext) -> None:
        super().__init__(user_id, context)
        self.process = process
        self._known_changes: deque[tuple[int, str]] = deque(maxlen=CHANGES_KNOWN)
        self.note_stored(0, "")
        self.is_live = self.is_busy = self._is_in_action = False
        self.held = HeldFrames()
        self.rows = DeviceRows(process.process_id)
        self.local_devices = self.rows.devices
        self._notes = BroadcastNotes()
        self.forget_stop_points()

    # What is asked of a room. Each raises RoomWaits where it is not certain to be done at once.

    def apply(
        self,
        command: Command | TransferPlayback,
        device: Device | None = None,
        frame_id: FrameId | None = None,
    ) -> float:
        return self.act(partial(super().apply, command, device, frame_id))

    def handle_frame(self, frame: Frame, device: Device) -> None:
        self.act(partial(super().handle_frame, frame, device))

    def handle_device_frame(self, frame: Frame, device: Device) -> dict[str, Any]:
        return self.act(partial(super().handle_device_frame, frame, device))

    # Attempts.

    def attempt(self, action: Callable[[], T]) -> Attempt[T]:
        """Run an action and hold what it sends. Raises ``RoomWaits``, and then nothing changed."""
        saved = SavedRoom.of(self, self._device_list)
        self._notes.clear()
        self.held.hold()
        self._is_in_action = True
        value, error = None, None
        try:
            value = action()
        except AudiostreamError as caught:
            error = caught
        except BaseException:
            self._undo(saved)
            raise
        finally:
            self._is_in_action = False
            self._context.unsaved.discard(self)
        change = None if self.state is saved.state else self._make_change(saved)
        return Attempt(saved, value, error, change)

    def settle(self, attempt: Attempt[T]) -> T:
        """Send what an action that changed nothing has sent; return what it returned, or raise."""
        self.forget_stop_points()
        self.held.release()
        self.announce()
        return attempt.result()

    def confirm(self, attempt: Attempt[T]) -> T:
        """Send what an action has sent whose change is stored; then as ``settle``."""
        if attempt.change is not None:
            self.note_stored(attempt.change.version, attempt.change.change_id)
            self.play_history.mark_saved(attempt.change.played)
        return self.settle(attempt)

    def roll_back(self, attempt: Attempt[T]) -> None:
        """Undo a change that is not stored."""
        self._undo(attempt.saved)
        if attempt.change is not None:
            self.rows.put_back(attempt.change.devices)

    def note_stored(self, version: int, change_id: str) -> None:
        """Note which change is stored, and known here."""
        self.version = self.stored_version = version
        self.last_change = version, change_id
        self._known_changes.append(self.last_change)
        self._is_queue_stored = True

    def is_known(self, version: int, change_id: str) -> bool:
        """Whether this change led to a version, as far as is known; else another has done so."""
        return dict(self._known_changes).get(version, change_id) == change_id

    def note_lost(self, stored_version: int) -> None:
        """Note that the store has lost changes that are known here; it has this version."""
        self.stored_version = stored_version
        self._is_queue_stored = False

    def forget_stop_points(self) -> None:
        """Have stop points read from the store: other processes may have added some."""
        self.stop_points.clear()

    def act(self, action: Callable[[], T]) -> T:
        """Do what can be done without the store. Raises ``RoomWaits`` for anything else."""
        if self._is_in_action:
            return action()
        if self.is_busy or not self.is_live:
            raise RoomWaits
        attempt = self.attempt(action)
        if attempt.change is not None:
            self.roll_back(attempt)
            raise RoomWaits
        return self.settle(attempt)

    def _undo(self, saved: SavedRoom) -> None:
        self.held.discard()
        self.forget_stop_points()
        saved.restore(self)

    def _new_change_id(self) -> str:
        change_id = self.process.new_change_id()
        return change_id if self._is_queue_stored else AGAIN + change_id

    def _make_change(self, saved: SavedRoom) -> Change:
        event, recipients = self._notes.summary(self.state)
        if event != QUEUE_UPDATED and recipients == ROOM.name:
            self.record_sent_to_replicas()
        is_new_list = self.state.queue.track_ids != saved.state.queue.track_ids
        return Change(
            user_id=self.user_id,
            process_id=self.process.process_id,
            change_id=self._new_change_id(),
            expected_version=self.stored_version,
            version=self.version + 1,
            state=self.state,
            writes_queue=is_new_list or not self._is_queue_stored,
            applied_ids=self.applied_commands.ids,
            stop_points=self.stop_points.unsaved,
            played=self.play_history.unsaved,
            event=event,
            recipients=recipients,
            devices=self.rows.take(),
        )

    # What an action sends.

    def _select(self, event: str, to: Recipients, sender: Device | None) -> Sequence[Device]:
        """Return the devices of this process, and note what others send to theirs."""
        self._notes.add(event, to)
        return select_recipients(to, self.local_devices.values(), sender)

    def record_sent_to_replicas(self) -> None:
        """Note that other processes send their devices the state."""
        now = self._context.clock()
        for device in self.devices.values():
            if device.ref.key not in self.local_devices:
                record_sent_to_replica(device, self.state, now)

    def announce(self) -> None:
        """Have what is new of this process's devices announced to other processes."""
        if self.rows.collect():
            self.process.announce(self)

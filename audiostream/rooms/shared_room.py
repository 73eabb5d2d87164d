"""``SharedRoom``: a user's room in one of several processes, with devices of all of them.

What is due to happen by time alone, the process of the active device does; what devices of this
process do and undergo, this process. What others have stored and announced: see ``adoption``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TypeVar

from ..playback import lifecycle
from ..playback.model import ROOM, Recipients, State
from . import device_commands, device_limit
from .attempt import Attempt
from .device import Device
from .process_context import ProcessContext
from .replicas import RemoteDevice
from .room_context import RoomContext
from .room_queue import QUEUE_UPDATED, list_has_changed
from .room_waits import RoomWaits
from .transactional_room import TransactionalRoom

TAKEOVER_TIMEOUT = 5.0
"""Seconds that a room leaves what is due to the process of the active device."""
T = TypeVar("T")


class SharedRoom(TransactionalRoom):
    """``devices`` has those of other processes, too: ``RemoteDevice`` is the way to them."""

    __slots__ = ("_due_since", "_lost_rev")

    def __init__(self, user_id: str, context: RoomContext, process: ProcessContext) -> None:
        super().__init__(user_id, context, process)
        self._due_since: float | None = None
        self._lost_rev: int | None = None  # sent to devices, with a state that the store has lost

    def housekeep(self) -> None:
        """Apply what time alone does, if it is for this process to do. Never raises."""
        if not self.local_devices:
            self._context.needs_housekeeping.discard(self)
            return
        try:
            self.act(super().housekeep)
            self._due_since = None
        except RoomWaits:
            self._context.needs_housekeeping.add(self)
            if not self.is_busy and self._is_responsible():
                self.process.perform_later(self, "housekeep", super().housekeep)

    def attempt(self, action: Callable[[], T]) -> Attempt[T]:
        if self._lost_rev is None:
            return super().attempt(action)

        def act_under_new_rev() -> T:
            self._raise_rev()
            return action()

        return super().attempt(act_under_new_rev)

    def settle(self, attempt: Attempt[T]) -> T:
        self._lost_rev = None
        return super().settle(attempt)

    def expect_end(self) -> None:
        """Leave the end of the track to other processes, where no device is connected to this."""
        if self.local_devices:
            super().expect_end()

    def advance(self) -> None:
        """Apply what time has done to a room that no device is in (R24)."""
        self.act(lambda: self._advance(self._context.clock()))

    def count_devices(self, device_id: str | None) -> int:
        """Leave out a former connection of the same device, and processes that may be dead."""
        return device_limit.count_with(self, device_id, self._context.clock())

    # Devices. What they change is stored and announced later, by the process's own tasks.

    def add_device(self, device: Device) -> None:
        """Add a device of this process. It is sent nothing (R12)."""
        now = self._context.clock()
        self.devices[device.ref.key] = device
        self.rows.add(device, now)
        self.expect_end()
        self.announce()
        self.notify_watchers()

    def remove_device(self, device: Device) -> None:
        """Remove a device of this process, if it is here."""
        if not self.rows.remove(device.ref.key):
            return
        del self.devices[device.ref.key]
        self._device_list.unwatch(device)
        now = self._context.clock()
        self.notify_watchers()
        self._lose(device, now)

    def remove_lost_devices(self) -> None:
        """Remove the devices of dead processes, as of the last renewal of each."""
        lost = self._take_lost_devices()
        for device, since in lost:
            self._lose(device, since)
        if lost:
            self.notify_watchers()

    def without_lost_devices(self) -> Callable[[], None]:
        """Remove the devices of dead processes; return the action that is to follow at once."""
        lost = self._take_lost_devices()

        def note_losses() -> None:
            for device, since in lost:
                self._note_loss(device, since)

        return note_losses

    def _take_lost_devices(self) -> list[tuple[Device, float]]:
        """Remove the devices of dead processes; return them, and when each was last known."""
        owners = {self.owner_of(each) for each in self.devices.values()}
        lost_since = {owner: self.process.lost_since(owner) for owner in owners}
        devices = ((each, lost_since[self.owner_of(each)]) for each in self.devices.values())
        lost = [(device, since) for device, since in devices if since is not None]
        for device, _ in lost:
            del self.devices[device.ref.key]
            self.rows.outbox.removed.add(device.ref.key)
        return lost

    def owner_of(self, device: Device) -> str:
        """Return the id of the process that a device is connected to."""
        remote = device.connection
        return remote.process_id if isinstance(remote, RemoteDevice) else self.process.process_id

    def _follow_end(self, now: float) -> None:
        """Leave it to the process of the active device to start what follows (R24), at first."""
        active = self.state.active_device
        is_remote = active is not None and active.key in self.devices.keys() - self.local_devices
        ended_at = self.state.ended_at
        if not is_remote or ended_at is None or now - ended_at >= TAKEOVER_TIMEOUT:
            super()._follow_end(now)

    def _lose(self, device: Device, at: float) -> None:
        """Announce that a device has gone, and freeze the playback if that was its last player."""
        if lifecycle.is_player(self.state, device.ref, device.sync) or not self.devices:
            note_loss = partial(self._note_loss, device, at)
            self.process.perform_later(self, f"loss of {device.ref.key}", note_loss)
        self.process.announce(self)

    def _note_loss(self, device: Device, at: float) -> None:
        """As an action: freeze the playback without a player (R11)."""
        self._advance(self._context.clock())
        rest = ((each.ref, each.sync) for each in self.devices.values())
        self.state = lifecycle.on_disconnect(self.state, device.ref, device.sync, rest, at)
        if self.state.frozen_at is not None:
            self._context.needs_housekeeping.add(self)

    def _is_responsible(self) -> bool:
        """Whether this process does what is due: it has the active device, or no other does it."""
        now, active = self._context.clock(), self.state.active_device
        if self._due_since is None:
            self._due_since = now
        device = None if active is None else self.devices.get(active.key)
        if device is not None:
            owner = self.owner_of(device)
        else:
            owners = {self.owner_of(each) for each in self.devices.values()}
            owner = min(each for each in owners if not self.process.is_silent(each))
        return owner == self.process.process_id or now - self._due_since >= TAKEOVER_TIMEOUT

    # What other processes have done: see ``adoption``.

    def adopt_state(self, state: State, event: str, recipients: Recipients) -> None:
        """Replace the state by one that is stored, and send it to this process's devices."""
        before, now = self.state, self._context.clock()
        if self.local_devices and (state.rev < before.rev or state.rev <= (self._lost_rev or 0)):
            return self.adopt_other_state(state)
        self.state, self._lost_rev = state, None
        if event == QUEUE_UPDATED:
            self._send_queue(event)
        elif self.local_devices:
            self._broadcast(recipients, event, before, now)
            if list_has_changed(before, state):
                self._send_queue(QUEUE_UPDATED)
        if recipients is ROOM and event != QUEUE_UPDATED:
            self.record_sent_to_replicas()
        if state.active_device != before.active_device:
            device_commands.release_player(self, before)
        if state.frozen_at is not None:
            self._context.needs_housekeeping.add(self)
        self.expect_end()
        self.notify_watchers()
        self.announce()

    def adopt_other_state(self, state: State) -> None:
        """Replace the state, of which the store has lost the last change, by what came after it."""
        self._lost_rev = max(self.state.rev, self._lost_rev or 0)
        self.state = state
        self.process.perform_later(self, "raise rev", lambda: None)

    def send_state(self) -> None:
        """Send the state to this process's devices, whatever they were sent before."""
        if self.state.track_id is None or self._lost_rev is not None:
            return
        self._broadcast(ROOM, "trackUpdated", self.state, self._context.clock())

    def _raise_rev(self) -> None:
        """Give the state a rev that devices do not know, before anything is sent with it."""
        before, now = self.state, self._context.clock()
        if self._lost_rev is not None and before.rev <= self._lost_rev:
            self.state = replace(before, rev=self._lost_rev + 1, updated_at=now)
        self._send_to_all("trackUpdated", before, now)

    def notify_watchers(self) -> None:
        """Send the list of devices to those that watch it, if it has changed."""
        self._device_list.notify_watchers(self.state, self._context.clock())

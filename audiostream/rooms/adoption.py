"""Adoption: what other processes have stored and announced becomes a shared room's own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ..playback.model import ROOM, Recipients
from ..storage.shared_store import Change, DeviceChanges, DeviceRow, Publication, StoredRoom
from .replicas import make_replica, update_replica
from .shared_room import SharedRoom
from .transactional_room import AGAIN


def receive(room: SharedRoom, publication: Publication) -> bool:
    """Adopt a publication. Return False where the store is to be read: one before it was missed,
    or the store has lost what was before.
    """
    if publication.process_id == room.process.process_id:
        _check_own_rows(room, publication.devices)
    else:
        _change_devices(room, publication.devices)
    change = publication.change
    if change is None or change.version <= room.version:
        return True
    if (change.expected_version, change.version) != (room.version, room.version + 1):
        return False
    _adopt_change(room, change)
    return True


def rows_alone(publication: Publication) -> Publication:
    """Return what may be adopted a second time of a publication: the rows of devices."""
    devices = replace(publication.devices, frames=(), checked=())
    return replace(publication, change=None, devices=devices)


def adopt_stored(room: SharedRoom, stored: StoredRoom) -> None:
    """Adopt what the store has, and inform the room's devices where it differs."""
    replace_devices(room, stored.devices)
    version, change_id = room.last_change
    room.note_stored(stored.version, stored.change_id)
    if room.last_change == (version, change_id):
        return
    room.applied_commands.ids = stored.applied_ids
    if stored.version <= version and room.is_live:
        room.adopt_other_state(stored.state)
    elif stored.state != room.state:
        room.adopt_state(stored.state, "trackUpdated", ROOM)


def has_lost(room: SharedRoom, stored: StoredRoom) -> bool:
    """Whether the store lacks changes that the room knows, and are to be stored again.

    They are not where a user has acted since on what the store had: that change counts.
    """
    version, change_id = room.last_change
    is_restored = stored.change_id.startswith(AGAIN)
    if stored.version < version:
        return is_restored or room.is_known(stored.version, stored.change_id)
    return stored.version == version and is_restored and not change_id.startswith(AGAIN)


def store_again(room: SharedRoom) -> None:
    """As an action: store what is known, where the store has lost it."""
    room.state = replace(room.state)


def _adopt_change(room: SharedRoom, change: Change) -> None:
    room.note_stored(change.version, change.change_id)
    room.applied_commands.ids = change.applied_ids
    state = change.state
    if not change.writes_queue:
        track_ids = room.state.queue.track_ids
        state = replace(state, queue=replace(state.queue, track_ids=track_ids))
    room.adopt_state(state, change.event, Recipients[change.recipients])


def _change_devices(room: SharedRoom, changes: DeviceChanges) -> None:
    for row in changes.rows:
        _put_row(room, row)
    for key in changes.removed:
        if key in room.local_devices:  # another process took this one to be dead
            room.rows.outbox.rows.add(key)
        else:
            room.devices.pop(key, None)
    for key, text in changes.frames:
        if key in room.local_devices:
            room.local_devices[key].send_queue.send_text(text)
    for key in changes.checked:
        device = room.local_devices.get(key)
        if device is not None and device.connection is not None:
            device.connection.check_alive()
    if changes.rows or changes.removed:
        room.notify_watchers()
        room.announce()


def _check_own_rows(room: SharedRoom, changes: DeviceChanges) -> None:
    """Announce devices of this process again where the store has an older row of them.

    What was sent over a connection that was given up may be carried out later than what was sent
    after it.
    """
    if changes.rows or changes.removed:
        outbox, local = room.rows.outbox, room.local_devices
        outbox.rows.update(key for key in changes.removed if key in local)
        outbox.rows.update(row.ref.key for row in changes.rows if room.rows.is_outdated(row))
        outbox.removed.update(row.ref.key for row in changes.rows if row.ref.key not in local)
        room.announce()


def replace_devices(room: SharedRoom, rows: Iterable[DeviceRow]) -> None:
    """Adopt the rows of other processes' devices; this process knows its own."""
    rows = sorted(rows, key=lambda row: row.connected_at)
    stored = {row.ref.key for row in rows}
    for key in room.devices.keys() - room.local_devices.keys() - stored:
        del room.devices[key]
    room.rows.outbox.rows.update(room.local_devices.keys() - stored)
    for row in rows:
        _put_row(room, row)
    room.notify_watchers()
    room.announce()


def _put_row(room: SharedRoom, row: DeviceRow) -> None:
    key = row.ref.key
    if row.process_id == room.process.process_id:
        if key not in room.local_devices:  # it has gone, and that could not be announced
            room.rows.outbox.removed.add(key)
        return
    known = room.devices.get(key)
    if known is None:
        room.devices[key] = make_replica(row, room.rows.outbox, room.held)
    else:
        update_replica(known, row)

"""``RoomQueue``: the tracks that one user's queue commands and ends of tracks lead to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..errors import InvalidMessage, TrackNotFound
from ..playback import queue_rules
from ..playback.commands import ListChange, PlayTrack, QueueCommand, SetQueue, Skip
from ..playback.model import ROOM, DeviceRef, DeviceSync, Outcome, State
from ..playback.queue import QueuePlace
from .broadcast import Catalogue

QUEUE_UPDATED = "queueUpdated"


@dataclass(eq=False, slots=True)
class RoomQueue:
    """Decides on the commands of one user's queue; the rules are in ``playback.queue_rules``.

    ``max_length`` is in tracks. ``new_seed`` returns the seed of a shuffle.
    """

    user_id: str
    catalogue: Catalogue
    max_length: int
    new_seed: Callable[[], int]

    def is_listed(self, track_id: str) -> bool:
        """Whether the user's library has this track."""
        try:
            self.catalogue.duration(self.user_id, track_id)
        except TrackNotFound:
            return False
        return True

    def check_tracks(self, state: State, command: object) -> None:
        """Check the list that a command brings along, if any.

        Raises ``InvalidMessage`` for one that is too long, and ``TrackNotFound``. A track that is
        in the queue already, and has left the library since, may stay.
        """
        track_ids: Sequence[str] = ()
        if isinstance(command, PlayTrack):
            track_ids = command.queue or ()
        elif isinstance(command, SetQueue):
            track_ids = command.track_ids
        if len(track_ids) > self.max_length:
            raise InvalidMessage(
                f"a queue has at most {self.max_length} tracks, and this one {len(track_ids)}"
            )
        present = {state.track_id, *state.queue.track_ids} if track_ids else set()
        for track_id in track_ids:
            if track_id not in present and not self.is_listed(track_id):
                raise TrackNotFound(f"there is no such track: {track_id[:64]!r}")

    def decide(
        self,
        state: State,
        command: QueueCommand,
        now: float,
        device: DeviceRef | None,
        sync: DeviceSync | None,
    ) -> Outcome:
        """Return what ``command`` does. Raises ``CommandRefused``, else as ``check_tracks``."""
        sync = sync or DeviceSync()
        if isinstance(command, ListChange):
            self.check_tracks(state, command)
            changed = queue_rules.change_list(state, command, self.new_seed())
            return Outcome(changed, sync, ROOM, QUEUE_UPDATED)
        return self._decide_skip(state, command, now, device, sync)

    def following(self, state: State) -> QueuePlace | None:
        """Return what starts at the end of the current track."""
        return state.queue.following(state.track_id, self.is_listed)

    def start(
        self, state: State, place: QueuePlace, at: float, device: DeviceRef | None = None
    ) -> State:
        """Return the state in which ``place`` plays from 0. Raises ``TrackNotFound`` (R9)."""
        return queue_rules.start(
            state,
            place,
            at,
            duration=self.catalogue.duration(self.user_id, place.track_id),
            same_album=self.is_same_album(state, place.track_id),
            device=device,
        )

    def is_same_album(self, state: State, track_id: str) -> bool:
        """Whether ``track_id`` is of the current track's album; asked where the rate matters."""
        if state.playback_rate == 1.0 or state.track_id is None:
            return False
        return self.catalogue.same_album(self.user_id, state.track_id, track_id)

    def _decide_skip(
        self, state: State, command: Skip, now: float, device: DeviceRef | None, sync: DeviceSync
    ) -> Outcome:
        place = queue_rules.skip_target(state, command, now, self.is_listed)
        if place is None:
            paused = queue_rules.pause_at_end(state, now, device)
            return Outcome(paused, sync, ROOM, "trackPaused")
        return Outcome(self.start(state, place, now, device), sync, ROOM, "trackPlaying")


def list_has_changed(before: State, after: State) -> bool:
    """Whether the queue's tracks or repeat differ, apart from the current place."""
    if before.queue is after.queue:
        return False
    old, new = before.queue, after.queue
    return old.repeat != new.repeat or old.track_ids != new.track_ids

"""Sending the state of a room to its devices, each distinct frame encoded once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ..errors import TrackNotFound
from ..playback.model import OTHERS, PAUSED, ROOM, SENDER, Recipients, State
from ..playback.queue import QueuePlace
from ..playback.sync import record_sent
from ..protocol.encode import StateTemplate, queue_data
from ..protocol.envelope import FrameId, wrap_in_frame
from ..protocol.strict_json import encode_json
from .device import Device

_EVENTS_WITH_TRACK = frozenset({"trackPlaying", "trackState"})


class Catalogue(Protocol):
    """The tracks as rooms need them. ``duration`` and ``describe`` raise ``TrackNotFound``."""

    def duration(self, user_id: str, track_id: str) -> float | None:
        """Return the track's listed duration in seconds, an estimate; None where unknown."""

    def same_album(self, user_id: str, track_id: str, other_id: str) -> bool:
        """Whether two tracks belong to one album."""

    def describe(self, user_id: str, track_id: str) -> Mapping[str, Any]:
        """Return the protocol's track object, with a fresh stream ticket.

        It must not be mutated: an unchanged description is recognized by its identity.
        """


def select_recipients(
    recipients: Recipients, devices: Iterable[Device], sender: Device | None
) -> Sequence[Device]:
    """Return those of a room's ``devices`` that an outcome is sent to.

    Never the live collection: a send queue that overflows may remove its device.
    """
    if recipients is SENDER:
        return () if sender is None else (sender,)
    if recipients is ROOM:
        return tuple(devices)
    if recipients is OTHERS:
        return [device for device in devices if device is not sender]
    if recipients is PAUSED:
        sent = ((device, device.sync.last_sent) for device in devices)
        return [device for device, last_sent in sent if last_sent and not last_sent.is_playing]
    return ()


@dataclass(eq=False, slots=True)
class StateBroadcaster:
    """Sends one user's state and queue. The encoded state and tracks are cached until they change.

    ``following`` returns what starts at the end of the current track of a state.
    """

    user_id: str
    catalogue: Catalogue
    wall_clock: Callable[[], float]
    following: Callable[[State], QueuePlace | None]
    _encoded: tuple[State, StateTemplate] | None = None
    _tracks: dict[str, tuple[Mapping[str, Any], str]] | None = None
    """The encoded track and next track by their ids; None before the first."""

    def send(
        self,
        recipients: Sequence[Device],
        event: str,
        before: State,
        state: State,
        now: float,
        sender: Device | None = None,
        frame_id: FrameId | None = None,
    ) -> None:
        """Send ``state`` as ``event``, and record for each recipient that it was sent it.

        ``before`` was the state until now. The frame of the ``sender`` carries ``frame_id``; a
        sender that is no recipient is answered with ``trackState`` all the same, which is not
        recorded.
        """
        is_answered = frame_id is None
        snapshot = state.snapshot(now)
        previous = snapshot if before is state else before.snapshot(now)
        position = snapshot.position if snapshot else state.position
        frames: dict[str, str] = {}
        for device in recipients:
            own_event = event if event != "trackUpdated" else _event_for(device, before, state)
            device.sync = record_sent(device.sync, previous, snapshot)
            if device is sender and not is_answered:
                is_answered = True
                frame = self._frame(own_event, state, position, frame_id)
            elif own_event in frames:
                frame = frames[own_event]
            else:
                frame = frames[own_event] = self._frame(own_event, state, position)
            device.send_queue.send_text(frame)
        if sender is not None and not is_answered:
            sender.send_queue.send_text(self._frame("trackState", state, position, frame_id))

    def send_queue(
        self,
        recipients: Sequence[Device],
        event: str,
        state: State,
        sender: Device | None = None,
        frame_id: FrameId | None = None,
    ) -> None:
        """Send the queue as ``event``; the frame of the ``sender`` carries ``frame_id``."""
        data = encode_json(self.queue_data(state))
        text = wrap_in_frame(event, data)
        for device in recipients:
            is_answer = device is sender and frame_id is not None
            device.send_queue.send_text(wrap_in_frame(event, data, frame_id) if is_answer else text)

    def queue_data(self, state: State) -> dict[str, Any]:
        """Return the data of ``queueUpdated``."""
        place = self.following(state)
        return queue_data(state, self._describe(place.track_id) if place else None)

    def _frame(
        self, event: str, state: State, position: float, frame_id: FrameId | None = None
    ) -> str:
        if self._encoded is None or self._encoded[0] is not state:
            self._encoded = state, StateTemplate.of(state)
        tracks = self._encoded_tracks(state) if event in _EVENTS_WITH_TRACK else ""
        data = self._encoded[1].render(position, int(self.wall_clock() * 1000), tracks)
        return wrap_in_frame(event, data, frame_id)

    def _encoded_tracks(self, state: State) -> str:
        """Return the members ``track`` and ``nextTrack`` as JSON text, after commas."""
        place, former = self.following(state), self._tracks or {}
        self._tracks = {}
        track = self._encoded_track(state.track_id, former, self._tracks)
        following = self._encoded_track(place.track_id if place else None, former, self._tracks)
        return (f',"track":{track}' if track else "") + f',"nextTrack":{following or "null"}'

    def _encoded_track(
        self,
        track_id: str | None,
        former: dict[str, tuple[Mapping[str, Any], str]],
        tracks: dict[str, tuple[Mapping[str, Any], str]],
    ) -> str | None:
        """Return a track as JSON text, and add it to ``tracks``; None if it has left the library.

        ``former`` are those of the state before.
        """
        description = None if track_id is None else self._describe(track_id)
        if track_id is None or description is None:
            return None
        known = former.get(track_id)
        if known is None or known[0] is not description:
            known = description, encode_json(description)
        tracks[track_id] = known
        return known[1]

    def _describe(self, track_id: str) -> Mapping[str, Any] | None:
        try:
            return self.catalogue.describe(self.user_id, track_id)
        except TrackNotFound:  # a rescan has removed it
            return None


def _event_for(device: Device, before: State, state: State) -> str:
    """Return ``trackUpdated``, or the event that moves a device from another track (R18)."""
    current = device.sync.current
    track_id = before.track_id if current is None else current.track_id
    if track_id is None or track_id == state.track_id:
        return "trackUpdated"
    return "trackPlaying" if state.is_playing else "trackPaused"

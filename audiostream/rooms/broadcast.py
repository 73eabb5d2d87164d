"""Sending the state of a room to its devices, each distinct frame encoded once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from ..errors import TrackNotFound
from ..playback.model import OTHERS, PAUSED, ROOM, SENDER, Recipients, State
from ..playback.sync import record_sent
from ..protocol.encode import StateTemplate
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
) -> Iterable[Device]:
    """Return those of a room's ``devices`` that an outcome is sent to."""
    if recipients is SENDER:
        return () if sender is None else (sender,)
    if recipients is ROOM:
        return devices
    if recipients is OTHERS:
        return [device for device in devices if device is not sender]
    if recipients is PAUSED:
        sent = ((device, device.sync.last_sent) for device in devices)
        return [device for device, last_sent in sent if last_sent and not last_sent.is_playing]
    return ()


class StateBroadcaster:
    """Sends one user's state. The encoded state and track are cached until they change."""

    __slots__ = (
        "_catalogue",
        "_description",
        "_state",
        "_template",
        "_track",
        "_user_id",
        "_wall_clock",
    )

    def __init__(self, user_id: str, catalogue: Catalogue, wall_clock: Callable[[], float]) -> None:
        self._user_id = user_id
        self._catalogue = catalogue
        self._wall_clock = wall_clock
        self._state: State | None = None
        self._template: StateTemplate
        self._description: Mapping[str, Any] | None = None
        self._track = ""

    def send(
        self,
        recipients: Iterable[Device],
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
        frames: dict[str, str] = {}
        for device in recipients:
            own_event = _event_for(device, event, before, state)
            device.sync = record_sent(device.sync, previous, snapshot)
            if device is sender and not is_answered:
                is_answered = True
                frame = self._frame(own_event, state, now, frame_id)
            elif (frame := frames.get(own_event, "")) == "":
                frame = frames[own_event] = self._frame(own_event, state, now)
            device.send_queue.send_text(frame)
        if sender is not None and not is_answered:
            sender.send_queue.send_text(self._frame("trackState", state, now, frame_id))

    def _frame(self, event: str, state: State, now: float, frame_id: FrameId | None = None) -> str:
        if state is not self._state:
            self._state, self._template = state, StateTemplate.of(state)
        track = self._encoded_track(state) if event in _EVENTS_WITH_TRACK else None
        server_time = int(self._wall_clock() * 1000)
        data = self._template.render(state.position_at(now), server_time, track)
        return wrap_in_frame(event, data, frame_id)

    def _encoded_track(self, state: State) -> str | None:
        if state.track_id is None:
            return None
        try:
            description = self._catalogue.describe(self._user_id, state.track_id)
        except TrackNotFound:  # a rescan has removed it
            return None
        if description is not self._description:
            self._description, self._track = description, encode_json(description)
        return self._track


def _event_for(device: Device, event: str, before: State, state: State) -> str:
    """Return ``event``, or the one that moves a device from another track to this one (R18)."""
    if event != "trackUpdated":
        return event
    current = device.sync.current
    track_id = before.track_id if current is None else current.track_id
    if track_id is None or track_id == state.track_id:
        return event
    return "trackPlaying" if state.is_playing else "trackPaused"

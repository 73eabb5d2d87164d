"""Who is connected, and what each of them is told: ``dict[user_id, Room]``.

Here: rooms, devices and the fan-out through each device's outbox. Not here: the decisions
(``playback``), the sockets behind the outboxes (``gateway``), and anything that waits: every
method returns at once, so nothing is ever awaited while the registry is being read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, Protocol

from ..errors import TrackNotFound
from ..playback import rules as playback
from ..playback.rules import (
    NOBODY,
    OTHERS,
    PAUSED,
    ROOM,
    SENDER,
    Audience,
    DeviceRef,
    Left,
    Listener,
    Sighting,
    State,
)
from ..protocol import messages
from ..protocol.messages import (
    Change,
    Command,
    Frame,
    FrameId,
    GetCurrentState,
    GetDevices,
    PauseTrack,
    PlayTrack,
    Report,
    StateText,
    StateView,
    encode,
)

_WITH_TRACK = frozenset({"trackPlaying", "trackState"})
"""The events that carry a description of their track."""
LONGEST_INTERRUPTION = 24 * 3600.0
"""Seconds that a stop of the server is taken to have lasted where the wall clock cannot tell."""
POSITIONS_IN_MEMORY = 256
"""Tracks of which a room remembers where they were left, apart from those not saved yet."""
UNSAVED_KEPT = 256
"""Positions that wait to be saved; where the state file fails for long, the oldest are lost."""
COMMANDS_REMEMBERED = 64
"""Commands of a room that are known again if they are sent once more."""
_NEWCOMER, _UNTOUCHED = Listener(), State()
"""A device that was told nothing, a room that never played: one of each is enough for all."""


class PositionNeeded(Exception):
    """Raised by a room that must know first where ``track_id`` was left; nothing has changed.

    The caller has it told (``Room.recall``) and repeats the command.
    """

    def __init__(self, track_id: str) -> None:
        super().__init__(track_id)
        self.track_id = track_id


class Outbox(Protocol):
    """The way to one device. ``send_text`` never waits; a device that cannot keep up is cut."""

    def send_text(self, text: str) -> None: ...


class Catalogue(Protocol):
    """What rooms need to know of tracks. Both raise ``TrackNotFound``."""

    def duration(self, user_id: str, track_id: str) -> float | None:
        """The track's listed duration in seconds, None where unknown. It is an estimate."""

    def same_album(self, user_id: str, track_id: str, other_id: str) -> bool:
        """Whether two tracks belong to one album. Raises nothing."""

    def describe(self, user_id: str, track_id: str) -> Mapping[str, Any]:
        """The track as the protocol writes it, with a fresh stream ticket.

        What was answered before must not be changed: it is known again by its identity.
        """


@dataclass(eq=False, slots=True)
class Device:
    """One connected socket. Compared by identity: labels may repeat."""

    ref: DeviceRef
    name: str | None
    outbox: Outbox
    listener: Listener = _NEWCOMER
    is_watching: bool = False


class Room:
    """``user_{userId}``: one user's playback and the devices that hear of it.

    ``positions`` has where tracks were last left, in seconds (None: never); ``left`` what of it is
    not saved yet. In a room that was restored there may be more in the state file.
    """

    def __init__(
        self,
        user_id: str,
        catalogue: Catalogue,
        clock: Callable[[], float],
        tolerance: float,
        wall_clock: Callable[[], float],
        restless: set[Room],
    ) -> None:
        self.user_id = user_id
        self.state = _UNTOUCHED
        self.devices: dict[int, Device] = {}
        self.positions: dict[str, float | None] = {}
        self.left: list[Left] = []
        self._performed: dict[str, None] = {}
        self._is_restored = False
        self._catalogue = catalogue
        self._clock = clock
        self._tolerance = tolerance
        self._wall_clock = wall_clock
        self._restless = restless
        self._watchers = 0
        self._watched: tuple[object, ...] = ()
        self._texted: State | None = None
        self._text: StateText
        self._described: Mapping[str, Any] | None = None
        self._written = ""

    @property
    def name(self) -> str:
        return f"user_{self.user_id}"

    def restore(self, state: State, left: Iterable[Left], reached_at: float | None = None) -> None:
        """Go on from what was saved: a playback that was at its position at ``reached_at``.

        That is in epoch seconds; None says that it was some time after ``state.updated_at``.
        """
        if state.is_interrupted or state.is_abandoned:
            since = self._wall_clock() - (state.updated_at if reached_at is None else reached_at)
            if since < 0:  # the wall clock was set back
                since = LONGEST_INTERRUPTION
            state = replace(state, anchored_at=self._clock() - since)
        self.state, self._is_restored = state, True
        for each in left:
            self._remember(each)

    def recall(self, track_id: str, position: float | None) -> None:
        """Learn what was saved of a track: where it was left, in seconds, or None."""
        self.positions.setdefault(track_id, position)
        self._forget_oldest()

    def saved(self, left: Iterable[Left]) -> None:
        """Take note that these are in the state file."""
        done = set(left)
        self.left = [each for each in self.left if each not in done]
        self._forget_oldest()

    def enter(self, device: Device) -> None:
        """Let a device in. It is told nothing (rule 12)."""
        self.devices[device.ref.key] = device
        self._tell_watchers()

    def leave(self, device: Device) -> None:
        """Forget a device. Does nothing if it is not here."""
        if self.devices.pop(device.ref.key, None) is None:
            return
        self._watchers -= device.is_watching
        self._pass_time(self._clock())
        others = (other.listener for other in self.devices.values())
        self.state = playback.leave(self.state, device.listener, others, self._clock())
        if self.state.frozen_at is not None:
            self._restless.add(self)
        self._tell_watchers()

    def receive(self, frame: Frame, device: Device) -> None:
        """Do what a device's frame asks for. Raises ``InvalidMessage``, ``UnknownEvent``,
        ``TrackNotFound``, ``Conflict`` and ``PositionNeeded``.
        """
        if frame.event == "getDevices":
            self.list_devices(messages.get_devices(frame.data), device, frame.id)
        else:
            self._carry_out(messages.command(frame.event, frame.data), device, frame.id)

    def hear(self, report: Report, device: Device) -> None:
        """Take a device's report that wants no direct answer. Raises ``TrackNotFound`` and
        ``Conflict``.
        """
        self._carry_out(report, device)

    def has_read(self, device: Device) -> None:
        """A device has not read until now what it was told last (rule 22)."""
        device.listener = playback.read(device.listener, self._clock())

    def list_devices(
        self, request: GetDevices, device: Device, frame_id: FrameId | None = None
    ) -> dict[str, Any]:
        """Tell a device who is connected and what each does; from now on again, if it watches.

        Answers what it is told.
        """
        self._watchers += request.watch - device.is_watching
        device.is_watching = request.watch
        self._watched = self._doings()
        data = self._device_list()
        device.outbox.send_text(encode("devices", data, frame_id))
        return data

    def perform(
        self, command: Command, device: Device | None = None, frame_id: FrameId | None = None
    ) -> StateView:
        """Let ``command`` take its course and tell whom it concerns; answer the state after it.

        ``device`` is the sender, None for REST. If its frame had an id, the sender gets a direct
        answer in any case: ``trackState`` where the rules tell it nothing, which does not count
        as telling. Raises ``TrackNotFound`` (rule 9), ``Conflict`` and ``PositionNeeded``.
        """
        now = self._carry_out(command, device, frame_id)
        return playback.view(self.state, now, self._wall_clock())

    def _carry_out(
        self, command: Command, device: Device | None, frame_id: FrameId | None = None
    ) -> float:
        """The same; answers its moment. Most senders do not look at the state after it."""
        now = self._clock()
        self._pass_time(now)
        if self.state.duration is None:
            self._complete()
        if isinstance(command, GetCurrentState):
            if device is not None:  # rule 12
                self._tell((device,), "trackState", self.state, now, device, frame_id)
            return now
        if not isinstance(command, Report) and self._was_performed(command, device, now, frame_id):
            return now
        before = self.state
        duration, is_listed = self._listed(command.track_id, device)
        outcome = playback.apply(
            before,
            command,
            now,
            device=device.ref if device else None,
            listener=device.listener if device else None,
            duration=duration,
            left_at=self._left_at(command),
            same_album=self._goes_on_in_album(command.track_id),
            alone=len(self.devices) <= 1,
            tolerance=self._tolerance,
            wall_time=self._wall_clock(),
        )
        if not is_listed and _starts(command, before, outcome.state):
            raise TrackNotFound("there is no such track")
        if outcome.state is not before:
            self._change(outcome.state, now)
            self._note_performed(command)
        if device is not None:
            device.listener = outcome.listener
            if outcome.listener.is_ignored:
                self._restless.add(self)
        if outcome.audience is not NOBODY or frame_id is not None:
            hearers = self._hearers(outcome.audience, device)
            self._tell(hearers, outcome.event, before, now, device, frame_id)
        self._tell_watchers()
        return now

    def _was_performed(
        self, command: Change, device: Device | None, now: float, frame_id: FrameId | None
    ) -> bool:
        """Whether this command was sent before, by a connection that broke, and took effect.

        Then it does nothing, and its sender is told what came of it, which it may have missed.
        """
        command_id = _command_id(command)
        if command_id is None or command_id not in self._performed:
            return False
        if device is not None:
            event = "trackPlaying" if self.state.is_playing else "trackPaused"
            self._tell((device,), event, self.state, now, device, frame_id)
        return True

    def _note_performed(self, command: Change) -> None:
        command_id = _command_id(command)
        if command_id is not None:
            self._performed[command_id] = None
            if len(self._performed) > COMMANDS_REMEMBERED:
                del self._performed[next(iter(self._performed))]

    def settle(self) -> None:
        """Let time do what it does alone: rules 11 and 16. Call about once a second."""
        self._pass_time(self._clock())
        for device in tuple(self.devices.values()):
            report = playback.overdue(device.listener, self._clock())
            if report is not None:
                self._repeat(report, device)
        waiting = any(playback.may_be_overdue(each.listener) for each in self.devices.values())
        if self.state.frozen_at is None and not waiting:
            self._restless.discard(self)

    def _repeat(self, report: Report, device: Device) -> None:
        """Rule 16. It has obeyed since, or not: either way it is told what came of it."""
        before = device.listener
        with suppress(TrackNotFound):
            self._carry_out(report, device)
        if device.listener.told is before.told:
            self._tell((device,), "trackUpdated", self.state, self._clock())
        device.listener = playback.reminded(before, device.listener)

    def _pass_time(self, now: float) -> None:
        before, after = self.state, playback.settled(self.state, now)
        if after is before:
            return
        self._change(after, now)
        if after.rev != before.rev:  # rule 11: none came back
            self._tell(tuple(self.devices.values()), "trackPaused", before, now)
            self._tell_watchers()

    def _complete(self) -> None:
        """Fill in the duration of a restored state, once the library knows its track."""
        if self.state.track_id is not None:
            with suppress(TrackNotFound):
                duration = self._catalogue.duration(self.user_id, self.state.track_id)
                self.state = playback.with_listed(self.state, duration)

    def _listed(self, track_id: str, device: Device | None) -> tuple[float | None, bool]:
        """The listed duration of a command's track, and whether it is listed at all.

        A rescan may have taken it from this user while it is played: then it may still be paused,
        sought in and reported on, and what is known of its duration stays. So may, until it is
        some time ago, what was played before it. Raises ``TrackNotFound`` for any other (rule 9).
        """
        try:
            return self._catalogue.duration(self.user_id, track_id), True
        except TrackNotFound:
            if track_id == self.state.track_id:
                return self.state.duration, False
            recent = () if device is None else device.listener.recent
            if any(seen.track_id == track_id for seen in recent):
                return None, False
            raise

    def _change(self, state: State, now: float) -> None:
        """Take the state that the rules answered, and date what they changed."""
        before, wall_time = self.state, self._wall_clock()
        if state.rev != before.rev:
            state = replace(state, updated_at=wall_time)
        self.state = state
        for left in playback.left(before, state, now):
            self._remember(replace(left, at=wall_time))

    def _goes_on_in_album(self, track_id: str) -> bool:
        """Whether ``track_id`` is another track of the current one's album, at another rate."""
        current = self.state
        if current.playback_rate == 1.0 or current.track_id in (None, track_id):
            return False
        return self._catalogue.same_album(self.user_id, current.track_id or "", track_id)

    def _left_at(self, command: Change) -> float | None:
        """Where the command's track was left, in seconds. Raises ``PositionNeeded``."""
        track_id = command.track_id
        is_asked_for = (
            isinstance(command, PlayTrack)
            and command.resume
            and command.position is None
            and track_id != self.state.track_id
        )
        if is_asked_for and self._is_restored and track_id not in self.positions:
            raise PositionNeeded(track_id)
        return self.positions.get(track_id)

    def _remember(self, left: Left) -> None:
        if self.positions.get(left.track_id) == left.position:
            return
        self.positions.pop(left.track_id, None)  # the last one is the latest
        self.positions[left.track_id] = left.position
        self.left.append(left)
        del self.left[:-UNSAVED_KEPT]

    def _forget_oldest(self) -> None:
        """Keep memory bounded: what is saved can be had again."""
        too_many = len(self.positions) - POSITIONS_IN_MEMORY
        if too_many > 0:
            unsaved = {each.track_id for each in self.left}
            for track_id in list(self.positions)[:too_many]:
                if track_id not in unsaved:
                    del self.positions[track_id]

    def _hearers(self, audience: Audience, sender: Device | None) -> tuple[Device, ...]:
        if audience is SENDER:
            return () if sender is None else (sender,)
        if audience is ROOM:
            return tuple(self.devices.values())
        if audience is OTHERS:
            return tuple(other for other in self.devices.values() if other is not sender)
        if audience is PAUSED:
            sent = ((device, device.listener.told) for device in self.devices.values())
            return tuple(device for device, told in sent if told and not told.is_playing)
        return ()

    def _tell(
        self,
        hearers: tuple[Device, ...],
        event: str,
        before: State,
        now: float,
        sender: Device | None = None,
        frame_id: FrameId | None = None,
    ) -> None:
        answered = sender if frame_id is not None else None
        if hearers:
            told = playback.sighting(self.state, now)
            former = told if before is self.state else playback.sighting(before, now)
            texts: dict[str, str] = {}
            for device in hearers:
                its_event = self._event_for(device, event, before)
                device.listener = playback.tell(device.listener, former, told)
                if device is answered:
                    data = self._payload(its_event, now, told)
                    device.outbox.send_text(messages.frame_text(its_event, data, frame_id))
                    continue
                if its_event not in texts:
                    data = self._payload(its_event, now, told)
                    texts[its_event] = messages.frame_text(its_event, data)
                device.outbox.send_text(texts[its_event])
        if answered is not None and answered not in hearers:
            data = self._payload("trackState", now)
            answered.outbox.send_text(messages.frame_text("trackState", data, frame_id))

    def _event_for(self, device: Device, event: str, before: State) -> str:
        """``event``, or the one that brings a device from another track to this one (rule 18)."""
        if event != "trackUpdated":
            return event
        current = device.listener.doing
        track_id = before.track_id if current is None else current.track_id
        if track_id is None or track_id == self.state.track_id:
            return event
        return "trackPlaying" if self.state.is_playing else "trackPaused"

    def _tell_watchers(self) -> None:
        """Tell those who watch the devices, if there is something new to see."""
        if not self._watchers or (doings := self._doings()) == self._watched:
            return
        self._watched = doings
        text = encode("devices", self._device_list())
        for device in self.devices.values():
            if device.is_watching:
                device.outbox.send_text(text)

    def _doings(self) -> tuple[object, ...]:
        """All that watchers hear of, except positions: these change all the time."""
        return (
            self.state.active_device,
            *(
                (device.ref, doing and (doing.track_id, doing.is_playing))
                for device in self.devices.values()
                for doing in [device.listener.doing]
            ),
        )

    def _device_list(self) -> dict[str, Any]:
        now = self._clock()
        return {"devices": [self._describe(device, now) for device in self.devices.values()]}

    def _describe(self, device: Device, now: float) -> dict[str, Any]:
        doing, position = device.listener.doing, None
        reported = device.listener.reported
        if doing is not None:
            position = doing.position_at(now)
            if doing.track_id == self.state.track_id:
                position = self.state.clamp(position)
        return {
            "deviceId": device.ref.device_id,
            "deviceName": device.name,
            "isActive": device.ref == self.state.active_device,
            "trackId": doing and doing.track_id,
            "currentTime": None if position is None else round(position, 3),
            "isPlaying": doing is not None and doing.is_playing,
            "reportAge": None if reported is None else round(now - reported.at, 3),
        }

    def _payload(self, event: str, now: float, told: Sighting | None = None) -> str:
        """The state as JSON text. ``told`` is how it looks ``now``, where that is known."""
        state = self.state
        if state is not self._texted:
            self._texted, self._text = state, playback.view(state, now, 0.0).standing()
        track = self._track() if event in _WITH_TRACK else None
        position = told.position if told is not None else state.position_at(now)
        return self._text.at(position, int(self._wall_clock() * 1000), track)

    def _track(self) -> str | None:
        """The current track as JSON text, written anew where its description is a new one."""
        if self.state.track_id is None:
            return None
        try:
            described = self._catalogue.describe(self.user_id, self.state.track_id)
        except TrackNotFound:  # it has been taken off the shelf since
            return None
        if described is not self._described:
            self._described, self._written = described, messages.to_text(described)
        return self._written


def _starts(command: Change, before: State, after: State) -> bool:
    """Whether a command makes its track the current one, or has it play where it was paused.

    A player that plays, and reports so, has started by itself.
    """
    if before.track_id != after.track_id:
        return True
    return after.is_playing and not before.is_playing and not isinstance(command, Report)


def _command_id(command: Change) -> str | None:
    return command.command_id if isinstance(command, PlayTrack | PauseTrack) else None


class Registry:
    """All rooms, keyed by user. ``clock`` answers ``now`` as ``playback`` wants it, ``wall_clock``
    epoch seconds; without one ``clock`` does.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        clock: Callable[[], float],
        tolerance: float = playback.SYNC_TOLERANCE,
        wall_clock: Callable[[], float] | None = None,
    ) -> None:
        self.rooms: dict[str, Room] = {}
        self._catalogue = catalogue
        self._clock = clock
        self._tolerance = tolerance
        self._wall_clock = wall_clock or clock
        self._restless: set[Room] = set()
        self._keys = count(1)

    def wall_time(self) -> float:
        """Now, in epoch seconds."""
        return self._wall_clock()

    def room(self, user_id: str) -> Room:
        """The room of a user, made at the first call."""
        room = self.rooms.get(user_id)
        if room is None:
            room = Room(
                user_id,
                self._catalogue,
                self._clock,
                self._tolerance,
                self._wall_clock,
                self._restless,
            )
            self.rooms[user_id] = room
        return room

    def connect(
        self, user_id: str, outbox: Outbox, device_id: str, name: str | None = None
    ) -> Device:
        """Let a new device into its user's room. Nothing is told (rule 12)."""
        device = Device(DeviceRef(next(self._keys), device_id), name, outbox)
        self.room(user_id).enter(device)
        return device

    def disconnect(self, user_id: str, device: Device) -> None:
        """Forget a device, once or more often. A room that never played is forgotten with it."""
        room = self.room(user_id)
        room.leave(device)
        if not room.devices and room.state == _UNTOUCHED and not room.positions:
            self.forget(user_id)

    def forget(self, user_id: str) -> None:
        """Let go of a room that nobody is in."""
        self._restless.discard(self.rooms.pop(user_id))

    def settle(self) -> None:
        """Call about once a second. Looks only at rooms in which something is open."""
        for room in tuple(self._restless):
            room.settle()

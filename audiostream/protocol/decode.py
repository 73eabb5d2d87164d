"""Decoding of the data of client events into typed commands.

Positions and durations are float seconds. All functions raise ``InvalidMessage`` for data that the
protocol does not allow; unknown keys are ignored, ``userId`` among them (R10).
"""

from __future__ import annotations

import math

from ..errors import InvalidMessage, UnknownEvent
from ..playback.commands import (
    MAX_RATE,
    MIN_RATE,
    Change,
    PauseTrack,
    PlayTrack,
    QueueCommand,
    Report,
    SetState,
    fast_dataclass,
)
from .decode_queue import QUEUE_EVENTS, GetQueue, decode_queue_command, decode_track_ids
from .fields import (
    command_id,
    flag,
    if_rev,
    index,
    number,
    optional_flag,
    optional_text,
    text,
    volume_level,
)
from .strict_json import JsonObject

MEDIA_CLOCK_ERROR = 1.0
"""Seconds: browsers report a ``currentTime`` just under 0 at the start of some files; that is 0."""


@fast_dataclass
class GetCurrentState:
    """A device asks for the state."""


Command = Change | QueueCommand | GetCurrentState | GetQueue
"""What a room applies."""


def decode_command(event: str, data: JsonObject) -> Command:
    """Decode the command of a client's ``event``. Raises ``UnknownEvent`` too."""
    match event:
        case "updateStreaming":  # first, as it is by far the most frequent
            return decode_report(data)
        case "playTrack":
            return _decode_play(data)
        case "pauseTrack":
            return PauseTrack(
                track_id=text(data, "trackId"),
                position=_position(data),
                if_rev=if_rev(data),
                command_id=command_id(data),
                device_id=optional_text(data, "deviceId"),
            )
        case "getCurrentState":
            return _GET_CURRENT_STATE
    if event in QUEUE_EVENTS:
        return decode_queue_command(event, data)
    raise UnknownEvent(
        f"there is no event {event[:64]!r}; clients send playTrack, pauseTrack, "
        f"updateStreaming, getCurrentState, {', '.join(sorted(QUEUE_EVENTS))}, "
        "transferPlayback, setVolume, deviceUpdate, getDevices, watchLibrary and auth"
    )


def _decode_play(data: JsonObject) -> PlayTrack:
    track_id, queue = text(data, "trackId"), decode_track_ids(data, "queue")
    queue_index = index(data, "queueIndex")
    if queue_index is not None and queue is None:
        raise InvalidMessage('"queueIndex" is a place in "queue", which is missing')
    if queue is not None:
        if track_id not in queue:
            raise InvalidMessage('"queue" must contain "trackId"')
        if queue_index is not None and queue[queue_index : queue_index + 1] != (track_id,):
            raise InvalidMessage('"queueIndex" must be a place of "trackId" in "queue"')
    return PlayTrack(
        track_id=track_id,
        position=_position(data),
        if_rev=if_rev(data),
        resume=flag(data, "resume"),
        command_id=command_id(data),
        queue=queue,
        queue_index=queue_index,
        device_id=optional_text(data, "deviceId"),
    )


def decode_report(data: JsonObject) -> Report:
    """Decode the data of an ``updateStreaming`` frame."""
    duration = _duration(data) if "duration" in data else None
    ended = "ended" in data and flag(data, "ended")
    if "volume" not in data and "muted" not in data:
        return Report(*_player_state(data), duration, ended)
    return Report(
        *_player_state(data), duration, ended, volume_level(data), optional_flag(data, "muted")
    )


def decode_set_state(data: JsonObject) -> SetState:
    """Decode the body of a REST update-state request."""
    return SetState(*_player_state(data))


def decode_get_devices(data: JsonObject) -> bool:
    """Return whether a ``getDevices`` frame asks to ``watch``: to be sent every change too."""
    return flag(data, "watch")


def decode_auth_token(data: JsonObject) -> str:
    """Return the token of an ``auth`` frame; its labels are decoded by ``DeviceLabels``."""
    return text(data, "token")


def _player_state(data: JsonObject) -> tuple[str, float, bool, float | None, int | None]:
    is_playing = data.get("isPlaying")
    if not isinstance(is_playing, bool):
        raise InvalidMessage('"isPlaying" must be true or false')
    position = data.get("currentTime")
    if type(position) is not float or not 0.0 <= position < math.inf:  # most are
        position = _position(data)
    if position is None:
        raise InvalidMessage('"currentTime" is missing')
    track_id = text(data, "trackId")
    rate = _playback_rate(data) if "playbackRate" in data else None
    rev = if_rev(data) if "ifRev" in data else None
    return track_id, position, is_playing, rate, rev


def _position(data: JsonObject) -> float | None:
    position = number(data, "currentTime")
    if position is not None and position < 0:
        if position <= -MEDIA_CLOCK_ERROR:
            raise InvalidMessage('"currentTime" must not be negative')
        return 0.0
    return position


def _duration(data: JsonObject) -> float | None:
    duration = number(data, "duration")
    if duration is not None and duration <= 0:
        raise InvalidMessage('"duration" must be more than 0; leave it out where it is not known')
    return duration


def _playback_rate(data: JsonObject) -> float | None:
    rate = number(data, "playbackRate")
    if rate is not None and not MIN_RATE <= rate <= MAX_RATE:
        raise InvalidMessage(f'"playbackRate" must be between {MIN_RATE} and {MAX_RATE:g}')
    return rate


_GET_CURRENT_STATE = GetCurrentState()

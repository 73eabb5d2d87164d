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
    Report,
    SetState,
    fast_dataclass,
)
from .strict_json import JsonObject

MAX_COMMAND_ID_LENGTH = 64
"""Characters; a UUID has 36."""
MEDIA_CLOCK_ERROR = 1.0
"""Seconds: browsers report a ``currentTime`` just under 0 at the start of some files; that is 0."""


@fast_dataclass
class GetCurrentState:
    """A device asks for the state."""


Command = Change | GetCurrentState
"""What a room applies."""


def decode_command(event: str, data: JsonObject) -> Command:
    """Decode the command of a client's ``event``. Raises ``UnknownEvent`` too."""
    match event:
        case "updateStreaming":  # first, as it is by far the most frequent
            return decode_report(data)
        case "playTrack":
            position, if_rev, resume = _position(data), _if_rev(data), _flag(data, "resume")
            return PlayTrack(_text(data, "trackId"), position, if_rev, resume, _command_id(data))
        case "pauseTrack":
            position, if_rev = _position(data), _if_rev(data)
            return PauseTrack(_text(data, "trackId"), position, if_rev, _command_id(data))
        case "getCurrentState":
            return _GET_CURRENT_STATE
    raise UnknownEvent(
        f"there is no event {event[:64]!r}; clients send playTrack, pauseTrack, "
        "updateStreaming, getCurrentState, getDevices, watchLibrary and auth"
    )


def decode_report(data: JsonObject) -> Report:
    """Decode the data of an ``updateStreaming`` frame."""
    duration = _duration(data) if "duration" in data else None
    ended = "ended" in data and _flag(data, "ended")
    if "volume" not in data and "muted" not in data:
        return Report(*_player_state(data), duration, ended)
    return Report(*_player_state(data), duration, ended, decode_volume(data), decode_muted(data))


def decode_set_state(data: JsonObject) -> SetState:
    """Decode the body of a REST update-state request."""
    return SetState(*_player_state(data))


def decode_get_devices(data: JsonObject) -> bool:
    """Return whether a ``getDevices`` frame asks to ``watch``: to be sent every change too."""
    return _flag(data, "watch")


def decode_volume(data: JsonObject) -> float | None:
    """Return the ``volume`` of a device, between 0 and 1; None without one."""
    volume = _number(data, "volume")
    if volume is not None and not 0.0 <= volume <= 1.0:
        raise InvalidMessage('"volume" must be between 0 and 1')
    return volume


def decode_muted(data: JsonObject) -> bool | None:
    """Return whether a device is ``muted``; None where it does not say."""
    return decode_optional_flag(data, "muted")


def decode_optional_flag(data: JsonObject, name: str) -> bool | None:
    """Return a flag whose absence means neither true nor false."""
    return None if data.get(name) is None else _flag(data, name)


def decode_auth_token(data: JsonObject) -> str:
    """Return the token of an ``auth`` frame; its labels are decoded by ``DeviceLabels``."""
    return _text(data, "token")


def _player_state(data: JsonObject) -> tuple[str, float, bool, float | None, int | None]:
    is_playing = data.get("isPlaying")
    if not isinstance(is_playing, bool):
        raise InvalidMessage('"isPlaying" must be true or false')
    position = data.get("currentTime")
    if type(position) is not float or not 0.0 <= position < math.inf:  # most are
        position = _position(data)
    if position is None:
        raise InvalidMessage('"currentTime" is missing')
    track_id = _text(data, "trackId")
    rate = _playback_rate(data) if "playbackRate" in data else None
    if_rev = _if_rev(data) if "ifRev" in data else None
    return track_id, position, is_playing, rate, if_rev


def _text(data: JsonObject, name: str) -> str:
    text = data.get(name)
    if not isinstance(text, str) or not text:
        raise InvalidMessage(f'"{name}" must be a non-empty string')
    return text


def _position(data: JsonObject) -> float | None:
    position = _number(data, "currentTime")
    if position is not None and position < 0:
        if position <= -MEDIA_CLOCK_ERROR:
            raise InvalidMessage('"currentTime" must not be negative')
        return 0.0
    return position


def _duration(data: JsonObject) -> float | None:
    duration = _number(data, "duration")
    if duration is not None and duration <= 0:
        raise InvalidMessage('"duration" must be more than 0; leave it out where it is not known')
    return duration


def _playback_rate(data: JsonObject) -> float | None:
    rate = _number(data, "playbackRate")
    if rate is not None and not MIN_RATE <= rate <= MAX_RATE:
        raise InvalidMessage(f'"playbackRate" must be between {MIN_RATE} and {MAX_RATE:g}')
    return rate


def _number(data: JsonObject, name: str) -> float | None:
    number = data.get(name)
    if number is None:
        return None
    if type(number) is not float:
        if type(number) is not int:
            raise InvalidMessage(f'"{name}" must be a number')
        try:
            number = float(number)
        except OverflowError:
            number = math.inf
    if not math.isfinite(number):
        raise InvalidMessage(f'"{name}" must be a finite number')
    return number


def _if_rev(data: JsonObject) -> int | None:
    rev = data.get("ifRev")
    if rev is not None and type(rev) is not int:
        raise InvalidMessage('"ifRev" must be an integer')
    return rev


def _command_id(data: JsonObject) -> str | None:
    command_id = data.get("commandId")
    if command_id is None:
        return None
    if not isinstance(command_id, str) or not 0 < len(command_id) <= MAX_COMMAND_ID_LENGTH:
        raise InvalidMessage(
            f'"commandId" must be a string of 1 to {MAX_COMMAND_ID_LENGTH} characters'
        )
    return command_id


def _flag(data: JsonObject, name: str) -> bool:
    flag = data.get(name)
    if flag is not None and not isinstance(flag, bool):
        raise InvalidMessage(f'"{name}" must be true or false')
    return bool(flag)


_GET_CURRENT_STATE = GetCurrentState()

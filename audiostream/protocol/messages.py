"""JSON text to frozen typed commands, and events to JSON text.

Here: the only place that parses what clients write, and the shapes of what they are told. Not
here: what a command does (``playback``), who may send it (``gateway``, ``rest``).

Units: positions and durations are float seconds, ``updatedAt``, ``serverTime`` and ``expiresAt``
are integer epoch milliseconds.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Mapping
from json.encoder import encode_basestring_ascii
from json.scanner import make_scanner
from typing import Any, NoReturn

from ..errors import AudiostreamError, Conflict, InvalidMessage, UnknownEvent
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
from ..playback.model import State

MAX_ID_LENGTH = 128
MAX_COMMAND_ID = 64
MAX_DEPTH = 32
LONGEST_FAMILIAR = 1024
"""Characters up to which a text is remembered, to know those that are like it."""
MEDIA_CLOCK_ERROR = 1.0
"""Seconds: browsers report a ``currentTime`` just under 0 at the start of some files; that is 0."""

JsonObject = Mapping[str, Any]
FrameId = str | int | float


@fast_dataclass
class GetCurrentState:
    """A device asks where the playback is."""


@fast_dataclass
class GetDevices:
    """A device asks who else is connected; with ``watch``, also to hear of every change."""

    watch: bool = False


@fast_dataclass
class Labels:
    """How a device wants to be called; None where it does not say."""

    device_id: str | None = None
    device_name: str | None = None

    @classmethod
    def read(cls, data: JsonObject) -> Labels:
        """From an ``auth`` frame or a query string. Raises ``InvalidMessage``: see ``_label``."""
        return cls(_label(data, "deviceId"), _label(data, "deviceName"))


Command = Change | GetCurrentState
"""What is asked of a room."""


@fast_dataclass
class Frame:
    """One text frame: ``{"event", "data"?, "id"?}``."""

    event: str
    data: JsonObject
    id: FrameId | None = None


@fast_dataclass
class StateText:
    """A state as JSON text, in the pieces around what time alone changes.

    Written out: an encoder that does not know the shape takes three times as long.
    """

    head: str
    middle: str
    tail: str

    def at(self, current_time: float, server_time: int, track: str | None = None) -> str:
        """The whole text, with the JSON text of its ``track`` where that is wanted."""
        end = "}" if track is None else f',"track":{track}}}'
        return f"{self.head}{current_time:.3f}{self.middle}{server_time}{self.tail}{end}"


@fast_dataclass
class StateView:
    """The state of a user's playback as clients are told it, extrapolated to ``server_time``."""

    track_id: str | None
    current_time: float
    is_playing: bool
    duration: float | None
    playback_rate: float
    rev: int
    device_id: str | None
    updated_at: int
    server_time: int

    @classmethod
    def of(cls, state: State, now: float, wall_time: float) -> StateView:
        """The view of ``state`` at ``now``, which is ``wall_time`` in epoch seconds."""
        return cls(
            track_id=state.track_id,
            current_time=state.position_at(now),
            is_playing=state.is_playing,
            duration=state.duration,
            playback_rate=state.playback_rate,
            rev=state.rev,
            device_id=state.active_device.device_id if state.active_device else None,
            updated_at=int(state.updated_at * 1000),
            server_time=int(wall_time * 1000),
        )

    def to_json(self) -> dict[str, Any]:
        """The protocol's state object; ``duration`` only where it is known."""
        state: dict[str, Any] = {
            "trackId": self.track_id,
            "currentTime": round(self.current_time, 3),
            "isPlaying": self.is_playing,
            "playbackRate": self.playback_rate,
            "rev": self.rev,
            "deviceId": self.device_id,
            "updatedAt": self.updated_at,
            "serverTime": self.server_time,
        }
        if self.duration is not None:
            state["duration"] = self.duration
        return state

    def standing(self) -> StateText:
        """What stays of it as time passes, as JSON text."""
        middle = (
            f',"isPlaying":{"true" if self.is_playing else "false"}'
            f',"playbackRate":{self.playback_rate!r}'
            f',"rev":{self.rev}'
            f',"deviceId":{_nullable(self.device_id)}'
            f',"updatedAt":{self.updated_at}'
            ',"serverTime":'
        )
        tail = "" if self.duration is None else f',"duration":{self.duration!r}'
        return StateText(f'{{"trackId":{_nullable(self.track_id)},"currentTime":', middle, tail)


def parse(text: str, max_depth: int = MAX_DEPTH) -> Frame:
    """Read one text frame. Raises ``InvalidMessage``, with the frame's id if it has one."""
    content = parse_object(text, max_depth)
    event, frame_id = content.get("event"), content.get("id")
    if frame_id is not None:
        frame_id = _frame_id(frame_id)
    try:
        if not isinstance(event, str) or not event:
            raise InvalidMessage('a frame needs "event", a non-empty string')
        return Frame(event, frame_data(content.get("data")), frame_id)
    except InvalidMessage as error:
        error.frame_id = frame_id
        raise


def parse_object(text: str, max_depth: int = MAX_DEPTH) -> dict[str, Any]:
    """Read a JSON object, strictly: no NaN or Infinity, no absurd numbers, no deeper nesting.

    Of a repeated key the last value counts (RFC 8259 §4 leaves it open). Raises
    ``InvalidMessage``.
    """
    content = parse_value(text, max_depth)
    if not isinstance(content, dict):
        raise InvalidMessage("a JSON object is expected")
    return content


def parse_value(text: str, max_depth: int = MAX_DEPTH) -> Any:
    """The same, for any JSON value. Raises ``InvalidMessage``."""
    text = text.strip(" \t\n\r")  # all that JSON takes for blank (RFC 8259 §2)
    try:
        content, end = _scan(text, 0)
    except (StopIteration, ValueError, RecursionError):
        raise InvalidMessage("this is not valid JSON") from None
    if end != len(text):
        raise InvalidMessage("this is not valid JSON")
    if ("[" in text or text.count("{") > max_depth) and _is_deeper(content, max_depth):
        raise InvalidMessage(f"the JSON is nested deeper than {max_depth} levels")
    return content


class Familiar:
    """What one device says again and again: texts that differ in one number from one before.

    Most do: a player's reports in their position, its questions in their ``id``. Such a text means
    what it would mean if all of it were parsed, as all of it but the number has been.
    """

    __slots__ = ("_question", "_question_ends", "_report", "_report_ends")

    def __init__(self) -> None:
        self._report: Report | None = None
        self._question: Frame | None = None
        self._report_ends = self._question_ends = ("", "")

    def report(self, text: str) -> Report | None:
        """The report that ``text`` is, or None: it has to be parsed."""
        like, (head, tail) = self._report, self._report_ends
        if like is None or not (text.startswith(head) and text.endswith(tail)):
            return None
        number = text[len(head) : -len(tail)]
        if not _is_position(number):
            return None
        return Report(
            like.track_id,
            float(number),
            like.is_playing,
            like.playback_rate,
            like.if_rev,
            like.duration,
        )

    def question(self, text: str) -> Frame | None:
        """The frame without data that ``text`` is, or None: it has to be parsed."""
        like, (head, tail) = self._question, self._question_ends
        if like is None or not (text.startswith(head) and text.endswith(tail)):
            return None
        number = text[len(head) : -len(tail)]
        return Frame(like.event, like.data, int(number)) if _is_id(number) else None

    def learn_report(self, text: str, report: Report) -> None:
        """Know texts like this one from now on; it was parsed, and is ``report``."""
        if ends := _ends(text, _POSITION, '"currentTime"'):
            self._report, self._report_ends = report, ends

    def learn_question(self, text: str, frame: Frame) -> None:
        """The same of a frame without data."""
        if type(frame.id) is int and (ends := _ends(text, _ID, '"id"')):
            self._question, self._question_ends = frame, ends


def _ends(text: str, number: re.Pattern[str], name: str) -> tuple[str, str] | None:
    """What is before and behind the one number that has this name, None where that is in doubt.

    A second such name, or an escape in any, and it might be another number that counts.
    """
    if len(text) > LONGEST_FAMILIAR:
        return None
    found = number.search(text)
    if found is None or text.count(name) != 1 or "\\" in text:
        return None
    return text[: found.start(1)], text[found.end(1) :]


def to_text(content: Any) -> str:
    """JSON without blanks and in pure ASCII, so that any string survives the way."""
    return _ENCODER.encode(content)


def frame_data(data: Any) -> dict[str, Any]:
    """What came with an event: an object, or nothing. Raises ``InvalidMessage``."""
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise InvalidMessage('"data" must be an object')
    return data


def command(event: str, data: JsonObject) -> Command:
    """The typed command of a client's ``event``; ``userId`` and unknown keys are ignored.

    Raises ``UnknownEvent`` and ``InvalidMessage``.
    """
    match event:
        case "updateStreaming":  # first, as nothing else comes so often
            return report(data)
        case "playTrack":
            position, if_rev = _optional_position(data), _if_rev(data)
            resume = _flag(data, "resume")
            return PlayTrack(_track_id(data), position, if_rev, resume, _command_id(data))
        case "pauseTrack":
            position, if_rev = _optional_position(data), _if_rev(data)
            return PauseTrack(_track_id(data), position, if_rev, _command_id(data))
        case "getCurrentState":
            return _GET_CURRENT_STATE
    raise UnknownEvent(
        f"there is no event {event[:64]!r}; clients send playTrack, pauseTrack, "
        "updateStreaming, getCurrentState, getDevices, watchLibrary and auth"
    )


def report(data: JsonObject) -> Report:
    """The content of an ``updateStreaming`` frame. Raises ``InvalidMessage``."""
    duration = _duration(data) if "duration" in data else None
    return Report(*_player_state(data), duration)


def get_devices(data: JsonObject) -> GetDevices:
    """The content of a ``getDevices`` frame. Raises ``InvalidMessage``."""
    return GetDevices(_flag(data, "watch"))


def set_state(data: JsonObject) -> SetState:
    """The command of a REST update-state body. Raises ``InvalidMessage``."""
    return SetState(*_player_state(data))


def token(data: JsonObject) -> str:
    """The token of an ``auth`` frame; its ``Labels`` are read apart. Raises ``InvalidMessage``."""
    token = data.get("token")
    if not isinstance(token, str) or not token:
        raise InvalidMessage('"token" must be a non-empty string')
    return token


def encode(event: str, data: JsonObject, frame_id: FrameId | None = None) -> str:
    """One text frame for a client."""
    return frame_text(event, to_text(data), frame_id)


def frame_text(event: str, data: str, frame_id: FrameId | None = None) -> str:
    """The same of ``data`` that is JSON text already. Names of events need no escapes."""
    if frame_id is None:
        return f'{{"event":"{event}","data":{data}}}'
    written = to_text(frame_id) if isinstance(frame_id, str) else repr(frame_id)
    return f'{{"event":"{event}","id":{written},"data":{data}}}'


def encode_error(
    error: AudiostreamError, event: str | None, frame_id: FrameId | None = None
) -> str:
    """The ``error`` frame for a refused ``event``. A conflict carries the current state."""
    data: dict[str, Any] = {"code": error.code, "message": str(error), "event": event}
    if isinstance(error, Conflict):
        data["state"] = error.state
    return encode("error", data, frame_id)


def _player_state(data: JsonObject) -> tuple[str, float, bool, float | None, int | None]:
    is_playing = data.get("isPlaying")
    if not isinstance(is_playing, bool):
        raise InvalidMessage('"isPlaying" must be true or false')
    position = data.get("currentTime")
    if type(position) is not float or not 0.0 <= position < math.inf:  # most are
        position = _optional_position(data)
    if position is None:
        raise InvalidMessage('"currentTime" is missing')
    track_id = _track_id(data)
    rate = _playback_rate(data) if "playbackRate" in data else None
    if_rev = _if_rev(data) if "ifRev" in data else None
    return track_id, position, is_playing, rate, if_rev


def _track_id(data: JsonObject) -> str:
    track_id = data.get("trackId")
    if not isinstance(track_id, str) or not track_id:
        raise InvalidMessage('"trackId" must be a non-empty string')
    return track_id


def _optional_position(data: JsonObject) -> float | None:
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
    value = data.get(name)
    if value is None:
        return None
    if type(value) is not float:
        if type(value) is not int:
            raise InvalidMessage(f'"{name}" must be a number')
        try:
            value = float(value)
        except OverflowError:
            value = math.inf
    if not math.isfinite(value):
        raise InvalidMessage(f'"{name}" must be a finite number')
    return value


def _if_rev(data: JsonObject) -> int | None:
    rev = data.get("ifRev")
    if rev is not None and (isinstance(rev, bool) or not isinstance(rev, int)):
        raise InvalidMessage('"ifRev" must be an integer')
    return rev


def _command_id(data: JsonObject) -> str | None:
    command_id = data.get("commandId")
    if command_id is None:
        return None
    if not isinstance(command_id, str) or not 0 < len(command_id) <= MAX_COMMAND_ID:
        raise InvalidMessage(f'"commandId" must be a string of 1 to {MAX_COMMAND_ID} characters')
    return command_id


def _label(data: JsonObject, name: str) -> str | None:
    """A label as it is shown: at most MAX_ID_LENGTH characters, None where nothing is to be seen.

    People and systems put no-break spaces, joined emoji and writing from right to left in names:
    all of that stays. Overrides and isolates of direction go, as they would turn around what
    stands beside the label (UAX #9). Raises ``InvalidMessage`` for control characters.
    """
    text = data.get(name)
    if text is None:
        return None
    if not isinstance(text, str) or _CONTROLS.search(text):
        raise InvalidMessage(f'"{name}" must be text without control characters')
    text = _DIRECTIONS.sub("", text).strip()
    if len(text) > MAX_ID_LENGTH:
        text = text[: _cluster_start(text, MAX_ID_LENGTH)].rstrip()
    return None if all(map(_is_invisible, text)) else text


def _is_invisible(character: str) -> bool:
    return character.isspace() or unicodedata.category(character) == "Cf" or _is_mark(character)


def _is_mark(character: str) -> bool:
    return unicodedata.category(character).startswith("M")


def _cluster_start(text: str, end: int) -> int:
    """The last place up to ``end`` where a text can be cut between two things that one sees.

    Close to the extended grapheme clusters of UAX #29: marks, joined emoji, skin tones, tags and
    the two halves of a flag stay together. ``end`` where nothing else is found.
    """
    for place in range(end, 0, -1):
        before, after = text[place - 1], text[place]
        goes_on = before == _JOINER or _EXTENDS.match(after) or _is_mark(after)
        if not goes_on and not _splits_flag(text, place):
            return place
    return end


def _splits_flag(text: str, place: int) -> bool:
    if not _FLAG.match(text[place]):
        return False
    first = place
    while first > 0 and _FLAG.match(text[first - 1]):
        first -= 1
    return (place - first) % 2 == 1


def _flag(data: JsonObject, name: str) -> bool:
    flag = data.get(name)
    if flag is not None and not isinstance(flag, bool):
        raise InvalidMessage(f'"{name}" must be true or false')
    return bool(flag)


def _frame_id(value: Any) -> FrameId:
    if type(value) is int and abs(value) < 2**63:
        return value
    if isinstance(value, str) and len(value) <= MAX_ID_LENGTH:
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    raise InvalidMessage(f'"id" must be a number or a string of at most {MAX_ID_LENGTH} characters')


def _nullable(text: str | None) -> str:
    return "null" if text is None else encode_basestring_ascii(text)


def _is_deeper(content: Any, levels: int) -> bool:
    inner = [content]
    for _ in range(levels):
        inner = [
            child
            for each in inner
            if isinstance(each, dict | list)
            for child in (each.values() if isinstance(each, dict) else each)
        ]
    return any(isinstance(each, dict | list) for each in inner)


_GET_CURRENT_STATE = GetCurrentState()


_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_DIRECTIONS = re.compile("[\u202a-\u202e\u2066-\u2069]")
_JOINER = "\u200d"
_EXTENDS = re.compile("[\u200c\u200d\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]")
_FLAG = re.compile("[\U0001f1e6-\U0001f1ff]")  # a regional indicator, half of a flag


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


_NUMBER = r"(?:0|[1-9][0-9]{0,8})(?:\.[0-9]{1,17})?"
_INTEGER = r"(?:0|[1-9][0-9]{0,17})"
_is_position, _is_id = re.compile(_NUMBER).fullmatch, re.compile(_INTEGER).fullmatch
_AFTER_NAME, _BEHIND = r"[ \t\n\r]*:[ \t\n\r]*", r"(?=[ \t\n\r,}])"
_POSITION = re.compile(f'"currentTime"{_AFTER_NAME}({_NUMBER}){_BEHIND}')
_ID = re.compile(f'"id"{_AFTER_NAME}({_INTEGER}){_BEHIND}')
_scan = make_scanner(json.JSONDecoder(parse_constant=_refuse_constant))  # type: ignore[arg-type]
_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)

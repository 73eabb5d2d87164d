"""The frame around each message, ``{"event", "data"?, "id"?}``, and the ``error`` frame."""

from __future__ import annotations

import math
from typing import Any

from ..errors import AudiostreamError, Conflict, InvalidMessage
from ..playback.commands import fast_dataclass
from .strict_json import MAX_DEPTH, JsonObject, encode_json, parse_json_object

MAX_FRAME_ID_LENGTH = 128
"""Characters of a frame id: each answer repeats it."""

FrameId = str | int | float


@fast_dataclass
class Frame:
    """One text frame of a client. The direct answer to it carries the same ``id``."""

    event: str
    data: JsonObject
    id: FrameId | None = None


def parse_frame(text: str, max_depth: int = MAX_DEPTH) -> Frame:
    """Parse one text frame. Raises ``InvalidMessage``, with the frame's id if it has one."""
    content = parse_json_object(text, max_depth)
    event, frame_id = content.get("event"), content.get("id")
    if frame_id is not None:
        frame_id = _check_frame_id(frame_id)
    try:
        if not isinstance(event, str) or not event:
            raise InvalidMessage('a frame needs "event", a non-empty string')
        return Frame(event, event_data(content.get("data")), frame_id)
    except InvalidMessage as error:
        error.frame_id = frame_id
        raise


def event_data(data: Any) -> dict[str, Any]:
    """Return the data of an event, an empty object if it has none. Raises ``InvalidMessage``."""
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise InvalidMessage('"data" must be an object')
    return data


def encode_frame(event: str, data: JsonObject, frame_id: FrameId | None = None) -> str:
    """Encode one text frame for a client."""
    return wrap_in_frame(event, encode_json(data), frame_id)


def wrap_in_frame(event: str, data: str, frame_id: FrameId | None = None) -> str:
    """Encode the frame around ``data`` that is JSON text already. Event names need no escapes."""
    if frame_id is None:
        return f'{{"event":"{event}","data":{data}}}'
    encoded_id = encode_json(frame_id) if isinstance(frame_id, str) else repr(frame_id)
    return f'{{"event":"{event}","id":{encoded_id},"data":{data}}}'


def encode_error(
    error: AudiostreamError, event: str | None, frame_id: FrameId | None = None
) -> str:
    """Encode the ``error`` frame for a refused ``event``. A conflict carries the current state."""
    data: dict[str, Any] = {"code": error.code, "message": str(error), "event": event}
    if isinstance(error, Conflict):
        data["state"] = error.state
    return encode_frame("error", data, frame_id)


def _check_frame_id(frame_id: Any) -> FrameId:
    if type(frame_id) is int and abs(frame_id) < 2**63:
        return frame_id
    if isinstance(frame_id, str) and len(frame_id) <= MAX_FRAME_ID_LENGTH:
        return frame_id
    if isinstance(frame_id, float) and math.isfinite(frame_id):
        return frame_id
    raise InvalidMessage(
        f'"id" must be a number or a string of at most {MAX_FRAME_ID_LENGTH} characters'
    )

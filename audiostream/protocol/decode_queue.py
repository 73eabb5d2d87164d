"""Decoding of the commands of the queue. All raise ``InvalidMessage``."""

from __future__ import annotations

from typing import get_args

from ..errors import InvalidMessage
from ..playback.commands import (
    NextTrack,
    PreviousTrack,
    QueueCommand,
    Repeat,
    SetQueue,
    SetRepeat,
    ShuffleQueue,
    fast_dataclass,
)
from .fields import command_id, if_rev, index, optional_text
from .strict_json import JsonObject

REPEATS: tuple[Repeat, ...] = get_args(Repeat)


@fast_dataclass
class GetQueue:
    """A device asks for the queue."""


QUEUE_EVENTS = frozenset(
    {"setQueue", "nextTrack", "previousTrack", "setRepeat", "shuffleQueue", "getQueue"}
)


def decode_queue_command(event: str, data: JsonObject) -> QueueCommand | GetQueue:
    """Decode the data of one of the ``QUEUE_EVENTS``."""
    match event:
        case "setQueue":
            return _decode_set_queue(data)
        case "setRepeat":
            return SetRepeat(_repeat(data), if_rev(data), command_id(data))
        case "shuffleQueue":
            return ShuffleQueue(if_rev(data), command_id(data))
        case "nextTrack":
            return NextTrack(if_rev(data), command_id(data), optional_text(data, "deviceId"))
        case "previousTrack":
            return PreviousTrack(if_rev(data), command_id(data), optional_text(data, "deviceId"))
    return GetQueue()


def decode_track_ids(data: JsonObject, name: str) -> tuple[str, ...] | None:
    """Return a list of track ids; None where it is absent or null."""
    ids = data.get(name)
    if ids is None:
        return None
    if not isinstance(ids, list) or not all(isinstance(each, str) and each for each in ids):
        raise InvalidMessage(f'"{name}" must be a list of track ids, which are non-empty strings')
    return tuple(ids)


def _decode_set_queue(data: JsonObject) -> SetQueue:
    track_ids, queue_index = decode_track_ids(data, "trackIds"), index(data, "queueIndex")
    if track_ids is None:
        raise InvalidMessage('"trackIds" is missing; an empty list empties the queue')
    if queue_index is not None and queue_index >= len(track_ids):
        raise InvalidMessage(
            f'"queueIndex" is {queue_index}, and "trackIds" has {len(track_ids)} tracks, '
            "the first of which is 0"
        )
    return SetQueue(track_ids, queue_index, if_rev(data), command_id(data))


def _repeat(data: JsonObject) -> Repeat:
    repeat = data.get("repeat")
    for each in REPEATS:
        if repeat == each:
            return each
    raise InvalidMessage('"repeat" must be "off", "one" or "all"')

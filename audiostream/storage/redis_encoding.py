"""``State``, ``DeviceRow`` and lists of ids as JSON, as they are stored in Redis.

Floats survive exactly (``repr`` is the shortest text that reads back as the same float), lone
surrogates as escapes. Decoding raises ``ValueError``; what it tolerates is in ``redis_json``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

from ..playback.commands import Repeat
from ..playback.model import DeviceRef, Snapshot, State
from ..playback.queue import Queue
from ..protocol.strict_json import encode_json
from .redis_json import (
    as_items,
    as_object,
    as_texts,
    parse,
    present_fields,
    read_field,
    read_fields,
)
from .shared_store import DeviceRow

FORMAT: Final = 1
"""Written with each state. One whose format is higher is not read: a later version wrote it, and
what this one does not know would be lost with its next change."""
_STATE: Final[Mapping[str, type]] = {
    "track_id": str,
    "duration": float,
    "position": float,
    "anchored_at": float,
    "is_playing": bool,
    "playback_rate": float,
    "rev": int,
    "updated_at": float,
    "frozen_at": float,
    "is_interrupted": bool,
    "is_abandoned": bool,
    "is_measured": bool,
    "ended_at": float,
}
"""Fields of ``State`` that are JSON values as they are."""
_ROW: Final[Mapping[str, type]] = {
    "process_id": str,
    "name": str,
    "connected_at": float,
    "reports_playing": bool,
    "volume": float,
    "muted": bool,
}
"""Those of ``DeviceRow``."""


def encode_state(state: State) -> str:
    """Encode a state without the tracks of its queue. Raises ``ValueError`` for NaN, Infinity."""
    return encode_json(state_content(state))


def decode_state(text: str | bytes | None, track_ids: tuple[str, ...] = ()) -> State:
    """Return a state with the tracks of its queue; None is a user who has none."""
    return State() if text is None else read_state(parse(text), track_ids)


def encode_texts(texts: Iterable[str]) -> str:
    """Encode track ids, or command ids."""
    return encode_json(list(texts))


def decode_texts(text: str | bytes | None) -> tuple[str, ...]:
    """Return what ``encode_texts`` encoded; None is nothing."""
    return () if text is None else as_texts(parse(text))


def encode_row(row: DeviceRow) -> str:
    """Encode the row of a device. Raises ``ValueError`` for NaN, Infinity."""
    return encode_json(row_content(row))


def decode_row(text: str | bytes) -> DeviceRow:
    """Return the row of a device."""
    return read_row(parse(text))


def state_content(state: State) -> dict[str, Any]:
    """Return the JSON object of a state, without the tracks of its queue."""
    device, queue = state.active_device, state.queue
    content = {"format": FORMAT, **present_fields(state, _STATE), "repeat": queue.repeat}
    if queue.index is not None:
        content["queue_index"] = queue.index
    if device is not None:
        content["active_device"] = [device.key, device.device_id]
    return content


def read_state(value: object, track_ids: tuple[str, ...]) -> State:
    """Return the state of a JSON object."""
    content = as_object(value)
    if read_field(content, "format", int) > FORMAT:
        raise ValueError("a later version of audiostream wrote it")
    repeat = content.get("repeat", "off")
    if repeat not in ("off", "all", "one"):
        raise ValueError("repeat is unknown")
    device = content.get("active_device")
    queue = read_fields(content, {"queue_index": int})
    return State(
        **read_fields(content, _STATE),
        active_device=None if device is None else DeviceRef(*as_items(device, int, str)),
        queue=Queue(track_ids, queue.get("queue_index"), cast(Repeat, repeat)),
    )


def row_content(row: DeviceRow) -> dict[str, Any]:
    """Return the JSON object of a device's row."""
    content = present_fields(row, _ROW)
    content["ref"] = [row.ref.key, row.ref.device_id]
    if row.current is not None:
        at = row.current
        content["current"] = [at.track_id, at.position, at.is_playing, at.playback_rate, at.at]
    return content


def read_row(value: object) -> DeviceRow:
    """Return the device's row of a JSON object."""
    content = as_object(value)
    read_field(content, "process_id", str)
    ref, current = as_items(content.get("ref"), int, str), content.get("current")
    if current is not None:
        current = Snapshot(*as_items(current, str, float, bool, float, float))
    return DeviceRow(ref=DeviceRef(*ref), current=current, **read_fields(content, _ROW))

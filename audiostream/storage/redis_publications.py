"""``Publication`` as JSON: what the processes of a user's devices receive over a channel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ..protocol.strict_json import encode_json
from .redis_encoding import read_row, read_state, row_content, state_content
from .redis_json import (
    as_items,
    as_list,
    as_object,
    as_texts,
    as_type,
    parse,
    present_fields,
    read_field,
    read_fields,
)
from .shared_store import Change, DeviceChanges, Publication

_CHANGE: Final[Mapping[str, type]] = {
    "change_id": str,
    "expected_version": int,
    "version": int,
    "event": str,
    "recipients": str,
}
"""Fields of ``Change`` that are published as they are."""


def encode_publication(publication: Publication) -> str:
    """Encode a publication, its change without stop points and history.

    Raises ``ValueError`` for NaN, Infinity.
    """
    content: dict[str, Any] = {
        "user_id": publication.user_id,
        "process_id": publication.process_id,
    }
    if publication.change is not None:
        content["change"] = _change_content(publication.change)
    devices = publication.devices
    if devices:
        content["devices"] = {
            "rows": [row_content(row) for row in devices.rows],
            "removed": devices.removed,
            "frames": devices.frames,
            "checked": devices.checked,
        }
    return encode_json(content)


def decode_publication(text: str | bytes) -> Publication:
    """Return what was published. Raises ``ValueError``."""
    content = as_object(parse(text))
    user_id = read_field(content, "user_id", str)
    process_id = read_field(content, "process_id", str)
    devices = _read_devices(as_object(content.get("devices", {})))
    change = content.get("change")
    if change is not None:
        change = _read_change(as_object(change), user_id, process_id, devices)
    return Publication(user_id=user_id, process_id=process_id, change=change, devices=devices)


def _change_content(change: Change) -> dict[str, Any]:
    content = present_fields(change, _CHANGE)
    content["state"] = state_content(change.state)
    content["applied_ids"] = change.applied_ids
    if change.writes_queue:
        content["track_ids"] = change.state.queue.track_ids
    return content


def _read_change(
    content: Mapping[str, Any], user_id: str, process_id: str, devices: DeviceChanges
) -> Change:
    for name in ("change_id", "expected_version", "version"):
        read_field(content, name, _CHANGE[name])
    return Change(
        **read_fields(content, _CHANGE),
        user_id=user_id,
        process_id=process_id,
        state=read_state(content.get("state"), as_texts(content.get("track_ids", []))),
        writes_queue="track_ids" in content,
        applied_ids=as_texts(content.get("applied_ids", [])),
        devices=devices,
    )


def _read_devices(content: Mapping[str, Any]) -> DeviceChanges:
    return DeviceChanges(
        rows=tuple(read_row(each) for each in as_list(content.get("rows", []))),
        removed=_keys(content.get("removed", [])),
        frames=tuple(as_items(each, int, str) for each in as_list(content.get("frames", []))),
        checked=_keys(content.get("checked", [])),
    )


def _keys(value: object) -> tuple[int, ...]:
    return tuple(as_type("a key", each, int) for each in as_list(value))

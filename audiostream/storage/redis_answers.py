"""Read what the scripts return.

What cannot be read of a state or queue raises ``ValueError``: with the next change it would be
lost. A single row, stop point, entry or revocation that cannot be read is passed to ``warn`` and
left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from ..playback.model import StopPoint
from .play_history import HistoryEntry
from .redis_encoding import decode_row, decode_state, decode_texts
from .redis_keys import decode_user
from .shared_store import StoredRoom

Warn = Callable[[str], None]
_T = TypeVar("_T")


def read_room(answer: Sequence[Any], warn: Warn) -> StoredRoom:
    """Return what is stored of a user, the devices in the order in which they connected."""
    (version, change_id, state, queue, applied), rows = answer
    devices = _readable("the row of a device", decode_row, rows, warn)
    applied_ids = _readable("what was applied", decode_texts, [applied], warn)
    return StoredRoom(
        version=int(version or 0),
        change_id=(change_id or b"").decode(),
        state=decode_state(state, decode_texts(queue)),
        applied_ids=applied_ids[0] if applied_ids else (),
        devices=tuple(sorted(devices, key=lambda row: (row.connected_at, row.ref.key))),
    )


def read_stop_points(track_id: str, lines: bytes | None, warn: Warn) -> list[StopPoint]:
    """Return the stop points of a track: a line each, position and time, the newest first."""

    def read(line: bytes) -> StopPoint:
        position, at = line.split()
        return StopPoint(track_id, float(position), float(at))

    return _readable("a stop point", read, (lines or b"").splitlines(), warn)


def read_history(page: Iterable[Sequence[bytes]], warn: Warn) -> list[HistoryEntry]:
    """Return the entries of a history: track, ordinal, time and position each."""

    def read(entry: Sequence[bytes]) -> HistoryEntry:
        track, _, at, position = entry
        return HistoryEntry(to_text(track), float(at), float(position) if position else None)

    return _readable("an entry of a history", read, page, warn)


def read_revoked(fields: Sequence[bytes], warn: Warn) -> dict[str, float]:
    """Return when users were revoked."""

    def read(pair: tuple[bytes, bytes]) -> tuple[str, float]:
        return decode_user(pair[0].decode()), float(pair[1])

    pairs = zip(fields[::2], fields[1::2], strict=True)
    return dict(_readable("a revocation", read, pairs, warn))


def to_bytes(text: str) -> bytes:
    """Encode a track id, lone surrogates too."""
    return text.encode("utf-8", "surrogatepass")


def to_text(data: bytes) -> str:
    """Return what ``to_bytes`` encoded."""
    return data.decode("utf-8", "surrogatepass")


def _readable(what: str, read: Callable[[Any], _T], values: Iterable[Any], warn: Warn) -> list[_T]:
    found = []
    for value in values:
        try:
            found.append(read(value))
        except ValueError as error:
            warn(f"{what} in Redis cannot be read ({error}); it is left out")
    return found

"""The server's address, and its JSON frames as values. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args
from urllib.parse import urlsplit

from ..errors import (
    AudiostreamError,
    Conflict,
    DeviceNotFound,
    InvalidMessage,
    RateLimited,
    StoreError,
    TrackNotFound,
    Unauthorized,
    Unavailable,
    UnknownEvent,
)
from .model import (
    EMPTY_QUEUE,
    SYNC_TOLERANCE,
    Device,
    Event,
    Queue,
    QueuePlace,
    Repeat,
    Report,
    ServerInfo,
    State,
    Track,
    Volume,
)

Frame = Mapping[str, Any]

_EVENTS = frozenset({"trackPlaying", "trackPaused", "trackUpdated", "trackState"})
_ERRORS: Mapping[str, type[AudiostreamError]] = {
    each.code: each
    for each in (
        DeviceNotFound,
        InvalidMessage,
        RateLimited,
        StoreError,
        TrackNotFound,
        Unauthorized,
        Unavailable,
        UnknownEvent,
    )
}


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is: ``http://host[:port][/prefix]``, without a final slash."""

    base: str

    @classmethod
    def parse(cls, url: str) -> Address:
        """Raises ``ValueError`` that says what is wrong."""
        parts = urlsplit(url)
        scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
        if scheme not in ("http", "https"):
            raise ValueError(f"{url!r} must begin with http://, https://, ws:// or wss://")
        if not parts.hostname:
            raise ValueError(f"{url!r} names no host")
        if parts.username is not None or parts.query or parts.fragment:
            raise ValueError(f"{url!r} must have no user, query or fragment")
        try:
            _ = parts.port
        except ValueError:
            raise ValueError(f"{url!r} has a port that is none") from None
        return cls(f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}")

    def absolute(self, path: str) -> str:
        """Return the URL of a path that the server sent, which has the prefix in it already."""
        parts = urlsplit(self.base)
        return f"{parts.scheme}://{parts.netloc}{path}"


def parse_frame(text: str) -> Frame:
    """Return a frame: ``event``, ``data``, maybe ``id``. Raises ``InvalidMessage``."""
    try:
        frame = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidMessage("the server sent what is not JSON") from None
    if not isinstance(frame, dict) or not isinstance(frame.get("event"), str):
        raise InvalidMessage("the server sent a frame without an event")
    if not isinstance(frame.setdefault("data", {}), dict):
        raise InvalidMessage("the server sent a frame whose data is no object")
    return frame


def parse_state(data: Mapping[str, Any]) -> State:
    """Raises ``InvalidMessage``."""
    try:
        duration = data.get("duration")
        return State(
            track_id=data["trackId"],
            position=float(data["currentTime"]),
            duration=None if duration is None else float(duration),
            is_playing=bool(data["isPlaying"]),
            playback_rate=float(data["playbackRate"]),
            rev=int(data["rev"]),
            device_id=data["deviceId"],
            updated_at=int(data["updatedAt"]),
            server_time=int(data["serverTime"]),
            queue=_parse_place(data.get("queue")),
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        raise InvalidMessage("the server sent what is not a state") from None


def parse_track(data: Any, address: Address) -> Track:
    """Raises ``InvalidMessage``."""
    try:
        return Track(
            id=data["id"],
            title=data["title"],
            stream_url=address.absolute(data["streamUrl"]),
            artist=data.get("artist"),
            album=data.get("album"),
            duration=data.get("duration"),
            owner_id=data.get("ownerId"),
            album_artist=data.get("albumArtist"),
            disc=data.get("disc"),
            track_number=data.get("trackNumber"),
        )
    except (AttributeError, KeyError, TypeError):
        raise InvalidMessage("the server sent what is not a track") from None


def parse_event(frame: Frame, address: Address) -> Event | None:
    """Return the event of a frame that has a state, None for others. Raises ``InvalidMessage``."""
    if frame["event"] not in _EVENTS:
        return None
    data = frame["data"]
    return Event(
        name=frame["event"],
        state=parse_state(data),
        track=_parse_optional_track(data.get("track"), address),
        next_track=_parse_optional_track(data.get("nextTrack"), address),
    )


def parse_queue(data: Mapping[str, Any], address: Address) -> Queue:
    """Return the queue of ``queue`` and ``queueUpdated``. Raises ``InvalidMessage``."""
    try:
        track_ids = data["trackIds"]
        if not isinstance(track_ids, list) or not all(isinstance(each, str) for each in track_ids):
            raise TypeError
        place = _parse_place({**data, "length": len(track_ids)})
        return Queue(
            track_ids=tuple(track_ids),
            index=place.index,
            repeat=place.repeat,
            rev=int(data["rev"]),
            updated_at=int(data["updatedAt"]),
            next_track=_parse_optional_track(data.get("nextTrack"), address),
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        raise InvalidMessage("the server sent what is not a queue") from None


def parse_volume(data: Mapping[str, Any]) -> Volume:
    """Return what ``volume`` and rows of ``devices`` hold. Raises ``InvalidMessage``."""
    volume, muted = data.get("volume"), data.get("muted")
    if muted is not None and not isinstance(muted, bool):
        raise InvalidMessage("the server sent a muted that is neither true nor false")
    if volume is not None and not (_is_number(volume) and 0 <= volume <= 1):
        raise InvalidMessage("the server sent a volume that is not from 0 to 1")
    return Volume(None if volume is None else float(volume), muted)


def parse_devices(data: Mapping[str, Any]) -> list[Device]:
    """Return the rows of ``devices``. Raises ``InvalidMessage``."""
    try:
        return [_parse_device(row) for row in data["devices"]]
    except (AttributeError, KeyError, TypeError, ValueError):
        raise InvalidMessage("the server sent what is not a list of devices") from None


def parse_server(data: Mapping[str, Any]) -> ServerInfo:
    """Return what ``authenticated`` tells. Raises ``InvalidMessage``."""
    version, features = data.get("version"), data.get("features", [])
    tolerance = data.get("syncTolerance", SYNC_TOLERANCE)
    is_list = isinstance(features, list) and all(isinstance(each, str) for each in features)
    if not is_list or not _is_number(tolerance) or not isinstance(version, str | None):
        raise InvalidMessage("the server sent what is not its description")
    return ServerInfo(version, frozenset(features), float(tolerance))


def parse_device_id(data: Mapping[str, Any]) -> str | None:
    """Return how ``authenticated`` calls the device, if it does. Raises ``InvalidMessage``."""
    device_id = data.get("deviceId")
    if not isinstance(device_id, str | None):
        raise InvalidMessage("the server sent what is not the id of a device")
    return device_id


def report_data(report: Report) -> dict[str, Any]:
    """Return the data of ``updateStreaming``; what a report leaves open is left out."""
    data = {
        "trackId": report.track_id,
        "currentTime": report.position,
        "isPlaying": report.is_playing,
        "playbackRate": report.playback_rate,
        "duration": report.duration,
        "ended": report.ended or None,
        "volume": report.volume,
        "muted": report.muted,
        "ifRev": report.if_rev,
    }
    return {name: value for name, value in data.items() if value is not None}


def parse_error(data: Mapping[str, Any]) -> AudiostreamError:
    """Return the exception of an ``error`` by its code, the base class for unknown codes."""
    code, message = str(data.get("code")), str(data.get("message"))
    state = data.get("state")
    if code == Conflict.code:
        return Conflict(message, state if isinstance(state, dict) else {})
    return _ERRORS.get(code, AudiostreamError)(message)


def _parse_place(data: Any) -> QueuePlace:
    """Raises ``InvalidMessage``; a server that knows no queues sends none."""
    if data is None:
        return EMPTY_QUEUE
    try:
        index, length, repeat = data["index"], data["length"], data["repeat"]
    except (KeyError, TypeError):
        raise InvalidMessage("the server sent a queue that lacks a field") from None
    is_index = index is None or (_is_integer(index) and _is_integer(length) and 0 <= index < length)
    if not (is_index and _is_integer(length) and length >= 0 and repeat in get_args(Repeat)):
        raise InvalidMessage("the server sent a place that is not in its queue")
    return QueuePlace(index, length, repeat)


def _parse_optional_track(data: Any, address: Address) -> Track | None:
    return None if data is None else parse_track(data, address)


def _parse_device(row: Mapping[str, Any]) -> Device:
    return Device(
        device_id=row["deviceId"],
        device_name=row["deviceName"],
        is_active=bool(row["isActive"]),
        track_id=row["trackId"],
        position=row["currentTime"],
        is_playing=bool(row["isPlaying"]),
        report_age=row["reportAge"],
        volume=parse_volume(row),
    )


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

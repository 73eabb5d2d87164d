"""The server's address, and its JSON frames as values. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ..errors import (
    AudiostreamError,
    Conflict,
    InvalidMessage,
    RateLimited,
    TrackNotFound,
    Unauthorized,
    UnknownEvent,
)
from .model import Event, State, Track

Frame = Mapping[str, Any]

_EVENTS = frozenset({"trackPlaying", "trackPaused", "trackUpdated", "trackState"})
_ERRORS: Mapping[str, type[AudiostreamError]] = {
    each.code: each
    for each in (InvalidMessage, RateLimited, TrackNotFound, Unauthorized, UnknownEvent)
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
    track = frame["data"].get("track")
    return Event(
        name=frame["event"],
        state=parse_state(frame["data"]),
        track=None if track is None else parse_track(track, address),
    )


def parse_error(data: Mapping[str, Any]) -> AudiostreamError:
    """Return the exception of an ``error`` by its code, the base class for unknown codes."""
    code, message = str(data.get("code")), str(data.get("message"))
    state = data.get("state")
    if code == Conflict.code:
        return Conflict(message, state if isinstance(state, dict) else {})
    return _ERRORS.get(code, AudiostreamError)(message)

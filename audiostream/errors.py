"""The exceptions of audiostream: one tree, each class with a stable ``code``.

The ``code`` is sent in error events and REST error bodies, and other programs compare it; the
message is for people and may change. Each class also has the HTTP status that REST responds with.
The close codes of WebSockets are in ``websocket.close_reasons``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar


class AudiostreamError(Exception):
    """Base of the tree. Its text is safe to send to a client: no paths, no secrets."""

    code: ClassVar[str] = "internal"
    http_status: ClassVar[int] = 500


class SettingsError(AudiostreamError):
    """Raised at start when a setting is missing or wrong. The text says what to do."""

    code = "invalid_settings"


class LibraryError(AudiostreamError):
    """Raised when the media folder as a whole cannot be used."""

    code = "library_unavailable"


class StoreError(AudiostreamError):
    """Raised when the state file cannot be used: damaged, newer, in use, unreadable."""

    code = "state_unavailable"
    http_status = 503


class Unavailable(StoreError):
    """Raised when the shared store does not answer in time. A change may be sent again."""

    code = "unavailable"


class InvalidMessage(AudiostreamError):
    """Raised when a frame, a body or a parameter violates the protocol.

    ``frame_id`` is the id of the frame, None if it has none or could not be parsed so far.
    """

    code = "invalid_message"
    http_status = 400
    frame_id: str | int | float | None = None


class UnknownEvent(AudiostreamError):
    """Raised when a frame names an event that clients cannot send."""

    code = "unknown_event"


class Unauthorized(AudiostreamError):
    """Raised when a token, ticket or cookie is missing, malformed, forged or expired."""

    code = "unauthorized"
    http_status = 401


class Forbidden(AudiostreamError):
    """Raised when a request is refused whoever sends it: it comes from a foreign origin."""

    code = "forbidden"
    http_status = 403


class RateLimited(AudiostreamError):
    """Raised when a client exceeds a rate or a number of streams, sockets or requests."""

    code = "rate_limited"
    http_status = 429


class TrackNotFound(AudiostreamError):
    """Raised when a track does not exist or is another user's, without telling which."""

    code = "track_not_found"
    http_status = 404


class DeviceNotFound(AudiostreamError):
    """Raised when a command names a device that is not connected."""

    code = "device_not_found"
    http_status = 404


class Conflict(AudiostreamError):
    """Raised when a command does not fit the current state: another revision or track.

    ``state`` is the current state in the form of the protocol, so that the caller can decide again.
    """

    code = "conflict"
    http_status = 409

    def __init__(self, message: str, state: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.state = state

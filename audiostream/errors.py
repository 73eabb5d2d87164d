"""The exceptions of audiostream: one tree, each class with a stable ``code``.

Here: every error that a user, a client or an operator can meet. Not here: how an error is
shown. The HTTP status is chosen in ``rest``, the close code in ``gateway``, the exit code in
``__main__``.

The ``code`` travels in error events and in REST error bodies, and other programs compare it;
the message is for people and may change.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar


class AudiostreamError(Exception):
    """Base of the tree. Its text is safe to show to a client: no paths, no secrets."""

    code: ClassVar[str] = "internal"


class SettingsError(AudiostreamError):
    """Raised at start when a setting is missing or wrong. The text says what to do."""

    code = "invalid_settings"


class LibraryError(AudiostreamError):
    """Raised when the media folder as a whole cannot be used."""

    code = "library_unavailable"


class StoreError(AudiostreamError):
    """Raised when the state file cannot be used: damaged, newer, in use, out of reach."""

    code = "state_unavailable"


class InvalidMessage(AudiostreamError):
    """Raised when a frame, a body or a parameter is not what the protocol asks for.

    ``frame_id`` is the id of the frame it is about, if that much of it could be read.
    """

    code = "invalid_message"
    frame_id: str | int | float | None = None


class UnknownEvent(AudiostreamError):
    """Raised when a frame names an event that clients cannot send."""

    code = "unknown_event"


class Unauthorized(AudiostreamError):
    """Raised when a token, ticket or cookie is missing, malformed, forged or expired."""

    code = "unauthorized"


class Forbidden(AudiostreamError):
    """Raised when the caller is known or irrelevant, and still may not: a foreign origin."""

    code = "forbidden"


class RateLimited(AudiostreamError):
    """Raised when a client asks more often, or for more at once, than it may."""

    code = "rate_limited"


class TrackNotFound(AudiostreamError):
    """Raised when a track does not exist or is another user's; the two look the same."""

    code = "track_not_found"


class Conflict(AudiostreamError):
    """Raised when a command no longer fits the current state.

    ``state`` is that state as the protocol writes it, so that the caller can decide again.
    """

    code = "conflict"

    def __init__(self, message: str, state: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.state = state

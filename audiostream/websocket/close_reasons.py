"""Why a connection ended: the word for the log and the close code of each reason."""

from __future__ import annotations

from enum import Enum


class CloseReason(Enum):
    """``word`` is what the log says after ``reason=``, and does not change between versions.

    ``code`` is the close code (RFC 6455 §7.4, 4000 to 4999 for private use). 1006 is never sent: it
    stands for a connection that ended without a close frame (§7.4.1).
    """

    def __init__(self, word: str, code: int) -> None:
        self.word = word
        self.code = code

    CLIENT_CLOSED = "client_closed", 1000
    SHUTDOWN = "shutdown", 1001
    PROTOCOL_ERROR = "protocol_error", 1002
    BINARY_MESSAGE = "binary_message", 1003
    CONNECTION_LOST = "connection_lost", 1006
    SLOW_READER = "slow_reader", 1006
    HEARTBEAT_TIMEOUT = "heartbeat_timeout", 1006
    INTERNAL_ERROR = "internal_error", 1006
    INVALID_UTF8 = "invalid_utf8", 1007
    MESSAGE_TOO_LONG = "message_too_long", 1009
    STATE_UNAVAILABLE = "state_unavailable", 1013
    TOKEN_REFUSED = "token_refused", 4401
    TOKEN_EXPIRED = "token_expired", 4401
    TOKEN_REVOKED = "token_revoked", 4401
    OTHER_USER = "other_user", 4403
    AUTH_TIMEOUT = "auth_timeout", 4408
    REPLACED = "replaced", 4409
    TOO_MANY_DEVICES = "too_many_devices", 4429


class CloseConnection(Exception):
    """Raised to end a connection. Its text goes into the close frame, so it has no secrets.

    ``code`` is the reason's, or the client's own where the client closed.
    """

    def __init__(self, reason: CloseReason, text: str = "", code: int | None = None) -> None:
        super().__init__(text)
        self.reason = reason
        self.code = reason.code if code is None else code

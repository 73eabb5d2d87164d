"""Two log lines for each connection, of native and Socket.IO devices alike.

::

    connected user=ada device=kitchen address=192.0.2.7 transport=websocket
    disconnected user=ada device=kitchen address=192.0.2.7 code=1006 reason=slow_reader after=9.2 s
"""

from __future__ import annotations

import json
import logging
import re
import time

from .close_reasons import CloseReason

_log = logging.getLogger(__package__)
_is_bare_word = re.compile(r"[\w.:@%+/-]+", re.ASCII).fullmatch


class ConnectionLog:
    """Logs one connection's authentication and its end, each at most once.

    ``started_at`` is in seconds of the monotonic clock, which is the event loop's.
    """

    __slots__ = ("_address", "_device_id", "_is_over", "_transport", "_user_id", "started_at")

    def __init__(self, address: str, transport: str) -> None:
        self._address = address
        self._transport = transport
        self._user_id: str | None = None
        self._device_id: str | None = None
        self.started_at = time.monotonic()
        self._is_over = False

    def connected(self, user_id: str, device_id: str) -> None:
        """Log that a device has authenticated and is in its user's room."""
        self._user_id, self._device_id = user_id, device_id
        _log.info(
            "connected user=%s device=%s address=%s transport=%s",
            _quoted(user_id),
            _quoted(device_id),
            _quoted(self._address),
            self._transport,
        )

    def disconnected(self, reason: CloseReason, code: int | None = None) -> None:
        """Log the end; ``user`` and ``device`` are ``-`` where none has authenticated."""
        if self._is_over:
            return
        self._is_over = True
        _log.info(
            "disconnected user=%s device=%s address=%s code=%d reason=%s after=%.1f s",
            _quoted(self._user_id),
            _quoted(self._device_id),
            _quoted(self._address),
            reason.code if code is None else code,
            reason.word,
            time.monotonic() - self.started_at,
        )


def _quoted(value: str | None) -> str:
    """Quote what clients choose, so that no value can end its field or its line."""
    if value is None:
        return "-"
    return value if _is_bare_word(value) and value != "-" else json.dumps(value)

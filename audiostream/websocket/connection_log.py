"""Two log lines for each connection, of native and Socket.IO devices alike.

::

    connected user=ada device=kitchen address=192.0.2.7 transport=websocket
    disconnected user=ada device=kitchen address=192.0.2.7 code=1006 reason=slow_reader after=9.2 s
"""

from __future__ import annotations

import json
import logging
import re

from .close_reasons import CloseReason

_log = logging.getLogger(__package__)
_is_bare_word = re.compile(r"[\w.:@%+/-]+", re.ASCII).fullmatch


def log_connected(user_id: str, device_id: str, address: str, transport: str) -> None:
    """Log that a device has authenticated and is in its user's room."""
    _log.info(
        "connected user=%s device=%s address=%s transport=%s",
        _quoted(user_id),
        _quoted(device_id),
        _quoted(address),
        transport,
    )


def log_disconnected(
    user_id: str | None,
    device_id: str | None,
    address: str,
    reason: CloseReason,
    code: int,
    seconds: float,
) -> None:
    """Log the end of a connection that was open for ``seconds``.

    ``user`` is ``-`` where nobody has authenticated, ``device`` where it was not let in.
    """
    _log.info(
        "disconnected user=%s device=%s address=%s code=%d reason=%s after=%.1f s",
        _quoted(user_id),
        _quoted(device_id),
        _quoted(address),
        code,
        reason.word,
        seconds,
    )


def _quoted(value: str | None) -> str:
    """Quote what clients choose, so that no value can end its field or its line."""
    if value is None:
        return "-"
    return value if _is_bare_word(value) and value != "-" else json.dumps(value)

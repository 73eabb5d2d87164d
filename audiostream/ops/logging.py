"""The plain and the JSON log format, and a filter for errors that clients cause."""

from __future__ import annotations

import errno
import json
import logging
import math
import time
from typing import Final

from aiohttp import web

from .aiohttp_compat import MALFORMED_REQUEST
from .redaction import redact

FILE_LIMIT_WARNING_INTERVAL: Final = 60.0
"""Seconds between two log lines about the limit of open files."""
_FILE_LIMIT_WARNING = (
    "no more files may be open, so new connections wait; "
    "allow more (ulimit -n, or LimitNOFILE= in the systemd unit)"
)


class ClientErrorFilter:
    """A handler filter that shortens what clients can provoke from a traceback to a line.

    The exceptions of the HTTP parser quote the request, and with it any credential. At the limit
    of open files the event loop logs an error a hundred times a second, of which one line in
    ``FILE_LIMIT_WARNING_INTERVAL`` is kept.
    """

    def __init__(self) -> None:
        self._warned_at = -math.inf

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to log the record, which may be rewritten in place."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, MALFORMED_REQUEST | web.RequestPayloadError):
            _rewrite(record, logging.INFO, "refused a malformed request")
        elif isinstance(error, ConnectionError):
            _rewrite(record, logging.INFO, "a client left in the middle of a request")
        elif isinstance(error, OSError) and error.errno in {errno.EMFILE, errno.ENFILE}:
            # The difference is negative where the clock was set back.
            if 0 <= record.created - self._warned_at < FILE_LIMIT_WARNING_INTERVAL:
                return False
            self._warned_at = record.created
            _rewrite(record, logging.ERROR, _FILE_LIMIT_WARNING)
        return True


def _rewrite(record: logging.LogRecord, level: int, message: str) -> None:
    record.msg, record.args = message, ()
    record.levelno, record.levelname = level, logging.getLevelName(level)
    record.exc_info = record.exc_text = None


class PlainFormatter(logging.Formatter):
    """Time, level, logger, message; redacted."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._second, self._formatted_second = -1, ""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        """Return local time with milliseconds. ``strftime`` runs once a second, not once a line."""
        second = int(record.created)
        if second != self._second:
            self._formatted_second = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))
            self._second = second
        return f"{self._formatted_second},{int(record.msecs):03}"


class JsonFormatter(logging.Formatter):
    """One JSON object a line: ``{time, level, logger, message, exception?}``; redacted.

    ``time`` is in epoch seconds.
    """

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": round(record.created, 3),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(record.getMessage()),
        }
        if record.exc_info:
            entry["exception"] = redact(self.formatException(record.exc_info))
        return json.dumps(entry)

"""What the log looks like: one line for each thing, without proofs of identity.

Here: the access log and two formats, plain and JSON, both of which redact. Not here: what is
logged and when.
"""

from __future__ import annotations

import json
import logging
import re

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger
from aiohttp.http_exceptions import HttpProcessingError

_PROOFS = re.compile(
    r"((?:token|ticket|audiostream_session)=)[^\s&\"';]+|(bearer\s+)\S+"
    r"|()eyJ[\w-]{4,}\.[\w-]+\.[\w-]*",
    re.IGNORECASE,
)


def redact(text: str) -> str:
    """Text without the tokens, tickets and cookies in it."""
    return _PROOFS.sub(lambda found: f"{found[1] or found[2] or ''}[redacted]", text)


def tame(record: logging.LogRecord) -> bool:
    """A filter for handlers: what a client's bytes can provoke is a line, not a traceback.

    The parser's exceptions quote the request, and with it whatever proof it carried.
    """
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, HttpProcessingError | web.RequestPayloadError):
        record.msg, record.args = "refused a malformed request", ()
    elif isinstance(error, ConnectionError):
        record.msg, record.args = "a client left in the middle of a request", ()
    else:
        return True
    record.levelno, record.levelname = logging.INFO, "INFO"
    record.exc_info = record.exc_text = None
    return True


class PlainFormatter(logging.Formatter):
    """Time, level, logger, message; redacted."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


class JsonFormatter(logging.Formatter):
    """One JSON object a line: ``{time, level, logger, message, exception?}``; redacted.

    ``time`` is in epoch seconds.
    """

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": round(record.created, 3),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return redact(json.dumps(entry))


class AccessLogger(AbstractAccessLogger):
    """One line a request, without the query string: that is where tokens and tickets travel."""

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        self.logger.info(
            '%s "%s %s" %d %d bytes %.3f s',
            request.remote,
            request.method,
            request.rel_url.raw_path,
            response.status,
            response.body_length,
            time,
        )

    @property
    def enabled(self) -> bool:
        return self.logger.isEnabledFor(logging.INFO)

"""What the log looks like: one line for each thing, without proofs of identity.

Here: the access log and two formats, plain and JSON, both of which redact. Not here: what is
logged and when.
"""

from __future__ import annotations

import errno
import json
import logging
import math
import re
import time
from urllib.parse import unquote

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger
from aiohttp.http_exceptions import HttpProcessingError

from .proxies import client_of

EXHAUSTED_EVERY = 60.0
"""Seconds between two lines that say that no more files may be open."""
_EXHAUSTED = (
    "no more files may be open, so new connections wait; "
    "allow more (ulimit -n, or LimitNOFILE= in the systemd unit)"
)
_NAMED = re.compile(
    r"((?:token|ticket|audiostream_session(?:_[0-9a-f]{8}_[0-9]{1,5})?)=)[^\s&\"';]+"
    r"|(bearer\s++)\S+",
    re.IGNORECASE,
)
# All of a word from the first mark of a JWT on, at once: what is tried again at every mark that
# stands in it takes time by the square of its length.
_JWT = re.compile(r"eyJ[\w.%-]{4,}", re.IGNORECASE)
# A JWT's signature has 43 characters or more: beside a mark, it may be of one that was cut in two.
_SIGNATURE = re.compile(r"(?<![\w-])[\w-]{40,}+")
_ENCODED_WORD = re.compile(r"(?<!\S)[^\s%]*+%\S*")

_now = time.time
_ACCESS = '%s "%s %s" %d %d bytes %.3f s'
# Where none of these is, there is no proof, unless it is encoded.
_MARKS = ("eyj", "bearer", "token=", "ticket=", "audiostream_session")
_HIDDEN = "[redacted]"
_MOST_SUSPECT = 100
"""Marks and percent signs in a text; of one with more the beginning alone is shown."""
_BEGINNING = 256
_LAYERS = 3
"""How often percent-encoding is decoded to look behind it."""


def redact(text: str) -> str:
    """Text without the tokens, tickets and cookies in it; in time linear in its length."""
    if "%" not in text and not _marks(text):
        return text
    if max(text.count("%"), _marks(text)) > _MOST_SUSPECT:
        text = f"{text[:_BEGINNING]} {_HIDDEN}"
    if "%" in text and _marks(_decoded(text)) > _marks(text):
        text = _ENCODED_WORD.sub(_without_encoded, text)
    text = _NAMED.sub(rf"\1\2{_HIDDEN}", text)
    if "eyj" not in text.casefold():
        return text
    return _SIGNATURE.sub(_HIDDEN, _JWT.sub(_without_jwt, text))


def _marks(text: str) -> int:
    folded = text.casefold()
    return sum([folded.count(mark) for mark in _MARKS if mark in folded])


def _decoded(text: str) -> str:
    for _ in range(_LAYERS):
        text = unquote(text)
    return text


def _without_encoded(word: re.Match[str]) -> str:
    """A word, hidden where percent-encoding hides a mark in it."""
    return _HIDDEN if _marks(_decoded(word[0])) > _marks(word[0]) else word[0]


def _without_jwt(word: re.Match[str]) -> str:
    """Hidden if it has the dots of a JWT, perhaps encoded, or one and the length of a part."""
    dots = word[0].count(".") + word[0].count("%")
    return _HIDDEN if dots > 1 or (dots and len(word[0]) >= 40) else word[0]


class Tame:
    """A filter for handlers: what clients can provoke is a line, not a traceback.

    The parser's exceptions quote the request, and with it whatever proof it carried. Where no more
    files may be open, the event loop complains a hundred times a second: one line in
    ``EXHAUSTED_EVERY`` seconds says it.
    """

    def __init__(self) -> None:
        self._exhausted_at = -math.inf

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to log it, perhaps as something else."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError | web.RequestPayloadError):
            _replace(record, logging.INFO, "refused a malformed request")
        elif isinstance(error, ConnectionError):
            _replace(record, logging.INFO, "a client left in the middle of a request")
        elif isinstance(error, OSError) and error.errno in {errno.EMFILE, errno.ENFILE}:
            # The clock may have been set back since.
            if 0 <= record.created - self._exhausted_at < EXHAUSTED_EVERY:
                return False
            self._exhausted_at = record.created
            _replace(record, logging.ERROR, _EXHAUSTED)
        return True


def _replace(record: logging.LogRecord, level: int, message: str) -> None:
    record.msg, record.args = message, ()
    record.levelno, record.levelname = level, logging.getLevelName(level)
    record.exc_info = record.exc_text = None


class PlainFormatter(logging.Formatter):
    """Time, level, logger, message; redacted."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._second, self._written = -1, ""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        """Local time to the millisecond; what all lines of one second share is written once."""
        second = int(record.created)
        if second != self._second:
            self._written = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))
            self._second = second
        return f"{self._written},{int(record.msecs):03}"


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


class AccessLogger(AbstractAccessLogger):
    """One line a request, without the query string: that is where tokens and tickets travel."""

    def __init__(self, logger: logging.Logger, log_format: str) -> None:
        super().__init__(logger, log_format)
        line = logging.LogRecord(logger.name, logging.INFO, __file__, 0, _ACCESS, (), None)
        self._alike = vars(line)

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        path, length = request.rel_url.raw_path, response.body_length
        self.note(client_of(request).address, request.method, path, response.status, length, time)

    def note(
        self, remote: str | None, method: str, path: str, status: int, length: int, time: float
    ) -> None:
        """Log one answer: ``length`` in bytes, ``time`` in seconds."""
        # To find out anew which line of which thread speaks costs more than all else here.
        record = logging.LogRecord.__new__(logging.LogRecord)
        now, words = _now(), (remote, method, path, status, length, time)
        vars(record).update(self._alike, args=words, created=now, msecs=now % 1 * 1000)
        self.logger.handle(record)

    @property
    def enabled(self) -> bool:
        return self.logger.isEnabledFor(logging.INFO)

"""What is logged as an error, for tests that expect nothing of that."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp.http_exceptions import HttpProcessingError


class LoggedErrors(logging.Handler):
    """Keeps what asyncio logs as an error, and every traceback."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):
            return  # what a client sent was refused; the real log says so in one line
        is_asyncio = record.name == "asyncio" and record.levelno >= logging.ERROR
        if is_asyncio or record.exc_info:
            self.lines.append(self.format(record))


@contextmanager
def no_logged_errors() -> Iterator[LoggedErrors]:
    """Fail if asyncio logs an error meanwhile, or any logger a traceback."""
    errors = LoggedErrors()
    logging.getLogger().addHandler(errors)
    try:
        yield errors
    finally:
        logging.getLogger().removeHandler(errors)
    assert not errors.lines, "\n".join(errors.lines)

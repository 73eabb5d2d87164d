"""The access log: one line a request, without the query string."""

from __future__ import annotations

import logging
import time

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger

from .proxies import client_of

_FORMAT = '%s "%s %s" %d %d bytes %.3f s'
# ``time`` is also the name of a parameter that aiohttp gives to ``AccessLogger.log``.
_epoch_seconds = time.time


class AccessLogger(AbstractAccessLogger):
    """Logs address, method, path, status, bytes and seconds.

    The query string is left out, as it can hold a token or a ticket.
    """

    def __init__(self, logger: logging.Logger, log_format: str) -> None:
        super().__init__(logger, log_format)
        record = logging.LogRecord(logger.name, logging.INFO, __file__, 0, _FORMAT, (), None)
        self._template = vars(record)

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        path, length = request.rel_url.raw_path, response.body_length
        address = client_of(request).address
        self.log_response(address, request.method, path, response.status, length, time)

    def log_response(
        self, remote: str | None, method: str, path: str, status: int, length: int, seconds: float
    ) -> None:
        """Log one response of ``length`` bytes that took ``seconds``."""
        # ``Logger.info`` looks up the caller's file and line, which costs more than all else here.
        record = logging.LogRecord.__new__(logging.LogRecord)
        now, arguments = _epoch_seconds(), (remote, method, path, status, length, seconds)
        vars(record).update(self._template, args=arguments, created=now, msecs=now % 1 * 1000)
        self.logger.handle(record)

    @property
    def enabled(self) -> bool:
        return self.logger.isEnabledFor(logging.INFO)

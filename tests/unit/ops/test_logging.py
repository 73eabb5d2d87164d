"""The log formats write one redacted line a record; errors that clients cause have no traceback."""

from __future__ import annotations

import errno
import json
import logging
import sys

import pytest
from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage

from audiostream.auth.access_tokens import Tokens
from audiostream.ops.logging import ClientErrorFilter, JsonFormatter, PlainFormatter

TOKEN = Tokens("s" * 32).mint("ada", 1_700_000_000, None)


def record(message: str, *arguments: object) -> logging.LogRecord:
    return logging.LogRecord("audiostream.x", logging.WARNING, "", 0, message, arguments, None)


def test_a_plain_line_has_time_level_logger_and_redacted_message() -> None:
    line = PlainFormatter().format(record("seen %s", f"token={TOKEN}"))
    assert line.endswith(" WARNING audiostream.x: seen token=[redacted]")


def test_a_json_line_is_one_object_with_a_redacted_message() -> None:
    entry = json.loads(JsonFormatter().format(record("two\nlines %s", TOKEN)))
    assert entry.pop("time") > 0
    assert entry == {
        "level": "warning",
        "logger": "audiostream.x",
        "message": "two\nlines [redacted]",
    }


def test_a_json_line_stays_json_where_a_quoted_ticket_is_redacted() -> None:
    entry = json.loads(JsonFormatter().format(record('GET "/a?ticket=1.YQ.abc" failed')))
    assert entry["message"] == 'GET "/a?ticket=[redacted]" failed'


@pytest.mark.parametrize("kind", [BadHttpMessage, web.RequestPayloadError])
def test_a_malformed_request_is_logged_as_one_line_that_quotes_nothing(
    kind: type[Exception],
) -> None:
    failed = record("Error handling request from %s", "127.0.0.1")
    try:
        raise kind(f"Invalid header: {TOKEN}")
    except kind:
        failed.exc_info = sys.exc_info()
    assert ClientErrorFilter().filter(failed)
    line = PlainFormatter().format(failed)
    assert line.endswith(" INFO audiostream.x: refused a malformed request")


def test_a_client_that_disconnects_mid_request_is_logged_without_traceback() -> None:
    failed = record("Error handling request from %s", "127.0.0.1")
    try:
        raise ConnectionResetError
    except ConnectionResetError:
        failed.exc_info = sys.exc_info()
    assert ClientErrorFilter().filter(failed)
    assert "Traceback" not in PlainFormatter().format(failed)


def exhausted(at: float) -> logging.LogRecord:
    failed = record("socket.accept() out of system resource")
    failed.created = at
    failed.exc_info = (OSError, OSError(errno.EMFILE, "Too many open files"), None)
    return failed


def test_at_the_open_file_limit_one_line_a_minute_says_what_to_do() -> None:
    errors = ClientErrorFilter()
    kept = [at for at in range(200) if errors.filter(exhausted(1000.0 + at))]
    assert kept == [0, 60, 120, 180]
    assert errors.filter(exhausted(500.0))  # the clock was set back
    last = exhausted(5000.0)
    assert errors.filter(last)
    line = PlainFormatter().format(last)
    assert " ERROR audiostream.x: no more files may be open" in line
    assert "Traceback" not in line


def test_exceptions_that_clients_cannot_cause_keep_their_traceback() -> None:
    failed = record("failed")
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        failed.exc_info = sys.exc_info()
    assert ClientErrorFilter().filter(failed)
    assert "Traceback" in PlainFormatter().format(failed)


def test_an_exception_in_json_is_redacted_and_stays_in_its_line() -> None:
    failed = record("failed")
    try:
        raise ValueError(TOKEN)
    except ValueError:
        failed.exc_info = sys.exc_info()
    line = JsonFormatter().format(failed)
    assert "\n" not in line
    assert "ValueError: [redacted]" in json.loads(line)["exception"]

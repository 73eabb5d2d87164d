"""Log lines: one each, and without proofs."""

from __future__ import annotations

import errno
import json
import logging
import sys

import pytest
from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage

from audiostream.logs import JsonFormatter, PlainFormatter, Tame, redact
from audiostream.tokens import Tokens

TOKEN = Tokens("s" * 32).mint("ada", 1_700_000_000, None)


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        (f"GET /ws?token={TOKEN}&x=1", "GET /ws?token=[redacted]&x=1"),
        ("/stream/a?ticket=1.YQ.abc HTTP", "/stream/a?ticket=[redacted] HTTP"),
        (f"Authorization: Bearer {TOKEN}", "Authorization: Bearer [redacted]"),
        (f"refused {TOKEN}!", "refused [redacted]!"),
        (
            "Cookie: audiostream_session=1.YQ.abc; a=b",
            "Cookie: audiostream_session=[redacted]; a=b",
        ),
        (
            "Cookie: a=b; audiostream_session_0f1e2d3c_3000=1.YQ.abc",
            "Cookie: a=b; audiostream_session_0f1e2d3c_3000=[redacted]",
        ),
        ("nothing to hide", "nothing to hide"),
    ],
)
def test_proofs_are_redacted(text: str, redacted: str) -> None:
    assert redact(text) == redacted


def record(message: str, *arguments: object) -> logging.LogRecord:
    return logging.LogRecord("audiostream.x", logging.WARNING, "", 0, message, arguments, None)


def test_a_plain_line() -> None:
    line = PlainFormatter().format(record("seen %s", f"token={TOKEN}"))
    assert line.endswith(" WARNING audiostream.x: seen token=[redacted]")


def test_a_json_line() -> None:
    entry = json.loads(JsonFormatter().format(record("two\nlines %s", TOKEN)))
    assert entry.pop("time") > 0
    assert entry == {
        "level": "warning",
        "logger": "audiostream.x",
        "message": "two\nlines [redacted]",
    }


@pytest.mark.parametrize("kind", [BadHttpMessage, web.RequestPayloadError])
def test_a_malformed_request_is_one_line_that_quotes_nothing(kind: type[Exception]) -> None:
    failed = record("Error handling request from %s", "127.0.0.1")
    try:
        raise kind(f"Invalid header: {TOKEN}")
    except kind:
        failed.exc_info = sys.exc_info()
    assert Tame().filter(failed)
    line = PlainFormatter().format(failed)
    assert line.endswith(" INFO audiostream.x: refused a malformed request")


def test_a_client_that_left_is_one_line() -> None:
    failed = record("Error handling request from %s", "127.0.0.1")
    try:
        raise ConnectionResetError
    except ConnectionResetError:
        failed.exc_info = sys.exc_info()
    assert Tame().filter(failed)
    assert "Traceback" not in PlainFormatter().format(failed)


def exhausted(at: float) -> logging.LogRecord:
    failed = record("socket.accept() out of system resource")
    failed.created = at
    failed.exc_info = (OSError, OSError(errno.EMFILE, "Too many open files"), None)
    return failed


def test_without_files_to_open_there_is_a_line_a_minute_that_says_what_to_do() -> None:
    tame = Tame()
    kept = [at for at in range(200) if tame.filter(exhausted(1000.0 + at))]
    assert kept == [0, 60, 120, 180]
    assert tame.filter(exhausted(500.0))  # the clock was set back
    last = exhausted(5000.0)
    assert tame.filter(last)
    line = PlainFormatter().format(last)
    assert " ERROR audiostream.x: no more files may be open" in line
    assert "Traceback" not in line


def test_other_exceptions_keep_their_traceback() -> None:
    failed = record("failed")
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        failed.exc_info = sys.exc_info()
    assert Tame().filter(failed)
    assert "Traceback" in PlainFormatter().format(failed)


def test_an_exception_stays_within_its_line() -> None:
    failed = record("failed")
    try:
        raise ValueError(TOKEN)
    except ValueError:
        failed.exc_info = sys.exc_info()
    line = JsonFormatter().format(failed)
    assert "\n" not in line
    assert "ValueError: [redacted]" in json.loads(line)["exception"]

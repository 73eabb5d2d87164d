"""Log lines: one each, and without proofs."""

from __future__ import annotations

import errno
import json
import logging
import sys
from urllib.parse import unquote

import pytest
from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage

from audiostream.auth.access_tokens import Tokens
from audiostream.ops.logging import JsonFormatter, PlainFormatter, Tame, redact

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
        ("'heyJude.mp3' ended 5 bytes early", "'heyJude.mp3' ended 5 bytes early"),
        ("/caf%C3%A9/100%25", "/caf%C3%A9/100%25"),
        (f"/caf%C3%A9?ticket=1.YQ.abc&b={TOKEN}", "/caf%C3%A9?ticket=[redacted]&b=[redacted]"),
        (f"/ws?%74oken={TOKEN}", "[redacted]"),
    ],
)
def test_proofs_are_redacted(text: str, redacted: str) -> None:
    assert redact(text) == redacted


HEADER, PAYLOAD, SIGNATURE = TOKEN.split(".")
ENCODED = "".join(f"%{ord(sign):02x}" for sign in TOKEN)


@pytest.mark.parametrize(
    "text",
    [
        f"{TOKEN} {TOKEN}",
        f"{TOKEN}.{TOKEN}",
        f"{HEADER}.{PAYLOAD} {TOKEN}",
        f"eyJ{TOKEN}",
        "eyJ" * 1000 + TOKEN,
        "eyJ" * 5000 + "." + TOKEN,
        "eyJ " * 5000 + TOKEN,
        f"eyJaaaatoken={TOKEN}",
        f"token={TOKEN}&token={TOKEN}&ticket={TOKEN}",
        f"a={TOKEN}&b={TOKEN};c='{TOKEN}'",
        f"/{TOKEN}/{TOKEN}?{TOKEN}#{TOKEN}",
        f"x\x00{TOKEN}\x00y",
        f"\u200b{TOKEN}\u200b",
        f"é{TOKEN}é",
        f"%00{TOKEN}%00",
        f"bearer\t \t{TOKEN}",
        f"BEARER {TOKEN}, Bearer {TOKEN}",
        f"{HEADER}%2E{PAYLOAD}%2e{SIGNATURE}",
        f"{HEADER}%2E{PAYLOAD}.{SIGNATURE}",
        f"?token%3D{TOKEN}",
        ENCODED,
        f"/ws?%74oken={ENCODED}",
        ENCODED.replace("%", "%25"),
        "%65yJ" + TOKEN[3:],
        "%2565yJ" + TOKEN[3:],
        "% " * 5000 + TOKEN,
        "token=a " * 5000 + TOKEN,
    ],
)
def test_no_spelling_of_a_token_is_shown(text: str) -> None:
    shown = redact(text)
    for _ in range(3):
        for part in (PAYLOAD, SIGNATURE):
            assert part not in shown
        shown = unquote(shown)


@pytest.mark.parametrize("odd", list("\x00\"'&;, |\\/\r\n"))
def test_the_signature_of_a_token_that_an_odd_character_splits_is_not_shown(odd: str) -> None:
    for position in range(len(TOKEN) + 1):
        shown = redact(f"GET /{TOKEN[:position]}{odd}{TOKEN[position:]}")
        assert SIGNATURE not in shown.replace(odd, "")


@pytest.mark.parametrize("ticket", ["1700000000.YWRh.c2ln", "1700000000.YWRh.c2ln".upper()])
@pytest.mark.parametrize("name", ["ticket", "Ticket", "%74icket", "t%69cket", "%2574icket"])
@pytest.mark.parametrize("sign", ["=", "%3D", "%3d"])
def test_no_spelling_of_a_ticket_is_shown(ticket: str, name: str, sign: str) -> None:
    assert "c2ln" not in redact(f"GET /stream/a?x=1&{name}{sign}{ticket} HTTP").lower()


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


def test_a_json_line_stays_json_where_a_proof_is_quoted() -> None:
    entry = json.loads(JsonFormatter().format(record('GET "/a?ticket=1.YQ.abc" failed')))
    assert entry["message"] == 'GET "/a?ticket=[redacted]" failed'


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

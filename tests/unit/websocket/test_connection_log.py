"""The two log lines of a connection: what they say, and that no client can forge one."""

from __future__ import annotations

import re

import pytest

from audiostream.websocket.close_reasons import CloseReason
from audiostream.websocket.connection_log import log_connected, log_disconnected


@pytest.fixture(autouse=True)
def info(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "audiostream")


def test_a_connection_has_a_line_at_its_start_and_one_at_its_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log_connected("ada", "kitchen", "192.0.2.7", "websocket")
    log_disconnected("ada", "kitchen", "192.0.2.7", CloseReason.SLOW_READER, 1006, 9.24)
    assert [record.levelname for record in caplog.records] == ["INFO", "INFO"]
    assert caplog.messages == [
        "connected user=ada device=kitchen address=192.0.2.7 transport=websocket",
        "disconnected user=ada device=kitchen address=192.0.2.7 code=1006 reason=slow_reader "
        "after=9.2 s",
    ]


def test_an_unauthenticated_connection_has_no_user_and_no_device(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log_disconnected(None, None, "::1", CloseReason.CLIENT_CLOSED, 4000, 0.0)
    assert caplog.messages == [
        "disconnected user=- device=- address=::1 code=4000 reason=client_closed after=0.0 s"
    ]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("Living room", '"Living room"'),
        ("-", '"-"'),
        ("a b=c reason=shutdown", '"a b=c reason=shutdown"'),
        ('say "hi"', r'"say \"hi\""'),
        ("two\nlines", r'"two\nlines"'),
        ("\x1b[31mred", r'"\u001b[31mred"'),
        ("Küche", r'"K\u00fcche"'),
        ("a\u2028b", r'"a\u2028b"'),
        ("user:1@example.org", "user:1@example.org"),
    ],
)
def test_what_a_client_chooses_is_quoted_unless_it_is_one_word(
    caplog: pytest.LogCaptureFixture, value: str, shown: str
) -> None:
    log_connected(value, value, "192.0.2.7", "websocket")
    log_disconnected(value, value, "192.0.2.7", CloseReason.SHUTDOWN, 1001, 1.0)
    for line in caplog.messages:
        assert f" user={shown} device={shown} address=192.0.2.7 " in line
        assert line.isascii()
        assert line.isprintable()


def test_every_reason_has_a_word_of_its_own_that_searches_find() -> None:
    words = [reason.word for reason in CloseReason]
    assert len(set(words)) == len(words)
    assert all(re.fullmatch(r"[a-z0-9_]+", word) for word in words)

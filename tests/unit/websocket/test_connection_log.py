"""The two log lines of a connection: what they say, and that no client can forge one."""

from __future__ import annotations

import re

import pytest

from audiostream.websocket.close_reasons import CloseReason
from audiostream.websocket.connection_log import ConnectionLog


@pytest.fixture(autouse=True)
def info(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "audiostream")


def test_a_connection_has_a_line_at_its_start_and_one_at_its_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = ConnectionLog("192.0.2.7", "websocket")
    log.connected("ada", "kitchen")
    log.disconnected(CloseReason.SLOW_READER)
    log.disconnected(CloseReason.CONNECTION_LOST)
    assert [record.levelname for record in caplog.records] == ["INFO", "INFO"]
    connected, disconnected = caplog.messages
    assert connected == "connected user=ada device=kitchen address=192.0.2.7 transport=websocket"
    assert re.fullmatch(
        r"disconnected user=ada device=kitchen address=192\.0\.2\.7 code=1006 "
        r"reason=slow_reader after=[0-9]+\.[0-9] s",
        disconnected,
    )


def test_an_unauthenticated_connection_has_no_user_and_no_device(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ConnectionLog("::1", "websocket").disconnected(CloseReason.CLIENT_CLOSED, 4000)
    assert caplog.messages[0].startswith(
        "disconnected user=- device=- address=::1 code=4000 reason=client_closed after="
    )


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
    log = ConnectionLog("192.0.2.7", "websocket")
    log.connected(value, value)
    log.disconnected(CloseReason.SHUTDOWN)
    for line in caplog.messages:
        assert f" user={shown} device={shown} address=192.0.2.7 " in line
        assert line.isascii()
        assert line.isprintable()


def test_every_reason_has_a_word_of_its_own_that_searches_find() -> None:
    words = [reason.word for reason in CloseReason]
    assert len(set(words)) == len(words)
    assert all(re.fullmatch(r"[a-z0-9_]+", word) for word in words)

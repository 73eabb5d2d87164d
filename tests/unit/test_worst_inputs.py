"""What reads a client's bytes takes time in proportion to their number, whatever they are.

Each reader is given texts that make patterns try again: what repeats a beginning without its end,
what is almost right to the last byte. Twice as many bytes may take little more than twice the
time; four times would be the square.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress

import pytest

from audiostream.api.content_coding import GzipPreference
from audiostream.auth.access_tokens import Tokens
from audiostream.auth.credentials import bearer_token
from audiostream.errors import AudiostreamError
from audiostream.ops.proxies import Proxies
from audiostream.ops.redaction import redact
from audiostream.protocol.decode import decode_command
from audiostream.protocol.envelope import parse_frame
from audiostream.protocol.repeat_cache import RepeatedMessageParser
from audiostream.streaming.ranges import Validators, decide, if_range_matches, parse_range

SIZE = 16 * 1024
"""Bytes, a quarter of the most that a frame or a body may have."""
ROUNDS = 5
MOST_GROWTH = 3.2
MEASUREMENTS = 3
"""What is slow is slow each time: a busy machine may disturb all rounds of one measurement."""
FLOOR = 0.002
"""Seconds that anything may take, however it grows."""

TOKENS = Tokens("s" * 32)
VALIDATORS = Validators('"1-2-3"', 1_700_000_000)

REPEATED = (
    *("a", " ", "\t", ",", "-", "=", ".", ":", "/", "0", "9", '"', "\\", "%", "[", "{", "é", "\0"),
    *("%2", "%65", "%25", "% ", "\\u", "\\ud800", "\\\\", "[]", '{"a":', "[0,", "1e", "-1", "0."),
    *(
        "eyJ",
        "eyJa",
        "eyJ.",
        "eyJaaaa.",
        "eyJaaaa ",
        "eyJaaaa%",
        "a.b",
        "a.b.",
        "bearer ",
        "bearer",
    ),
    *("token=", "token=a ", "ticket=", "ticket=&", "audiostream_session=", "audiostream_session"),
    *("bytes=", "bytes=0-,", "0-", " ,", ",\t", "bytes", '"a",', 'W/"', '"*"', "a b", "x \t"),
    *('"currentTime"', '"currentTime":', '"currentTime": ', '"id":', '"id" ', '"event":"', "\r\n"),
    *("a: b\r\n", "range: ", "range:\t", "\r\nrange:", "a=b; ", "don't ", "\u0130", "e\u0301"),
)
BEGINNINGS = ("", "bytes=", "Bearer ", "eyJ", '"', "[", "token=", '{"event":"x","data":', "x")
ENDINGS = ("", "x", '"', "}", "\r\n")


def of_a_proxy(text: str) -> None:
    """As each of the fields by which a trusted proxy says for whom it asks."""
    proxies = Proxies(("127.0.0.1/32", "10.0.0.0/8"))
    for name in ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "forwarded"):
        field = defaultdict(str, {name: text}).__getitem__
        proxies.client("127.0.0.1", False, "x", field)


def in_preconditions(text: str) -> None:
    for name in ("If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"):
        decide("GET", {name: text}, VALIDATORS, 1000, 1_800_000_000.0)
    if_range_matches(text, VALIDATORS, 1_800_000_000.0)
    if_range_matches(text.replace('"', ""), VALIDATORS, 1_800_000_000.0)


def in_a_credential(text: str) -> None:
    for verify in (
        lambda: TOKENS.verify(text, 0.0),
        lambda: TOKENS.verify_ticket(text, "song", 0.0),
        lambda: TOKENS.verify_session(text, 0.0),
        lambda: bearer_token(text),
    ):
        with suppress(AudiostreamError):
            verify()


def in_a_frame(text: str) -> None:
    parser = RepeatedMessageParser()
    parser.parse_report(text)
    parser.parse_query(text)
    with suppress(AudiostreamError):
        parse_frame(text)


def in_a_command(text: str) -> None:
    for event in ("playTrack", "pauseTrack"):
        with suppress(AudiostreamError):
            decode_command(event, {"trackId": text, "currentTime": text, "deviceName": text})


READERS: dict[str, Callable[[str], object]] = {
    "the log": redact,
    "a range": parse_range,
    "preconditions": in_preconditions,
    "a credential": in_a_credential,
    "a proxy's fields": of_a_proxy,
    "codings": GzipPreference.of,
    "a frame's text": in_a_frame,
    "a command": in_a_command,
}


def seconds(reader: Callable[[str], object], text: str) -> float:
    """CPU time of this thread; of the quickest of some rounds, as others are at work too."""
    quickest = float("inf")
    for _ in range(ROUNDS):
        began = time.thread_time()
        reader(text)
        quickest = min(quickest, time.thread_time() - began)
        if quickest < FLOOR:
            break
    return quickest


def text_of(beginning: str, unit: str, ending: str, size: int) -> str:
    room = size - len(beginning) - len(ending)
    return beginning + (unit * room)[:room] + ending


def slow_inputs(
    reader: Callable[[str], object], size: int = SIZE
) -> list[tuple[str, str, str, float, float]]:
    """Texts of which twice the bytes take much more than twice the time, with both times."""
    slow = []
    for beginning in BEGINNINGS:
        for unit in REPEATED:
            for ending in ENDINGS:
                texts = [text_of(beginning, unit, ending, part) for part in (size // 2, size)]
                for _ in range(MEASUREMENTS):
                    half, whole = (seconds(reader, text) for text in texts)
                    if whole < FLOOR or whole <= half * MOST_GROWTH:
                        break
                else:
                    slow.append((beginning, unit, ending, half, whole))
    return slow


@pytest.mark.parametrize("name", READERS)
def test_twice_the_bytes_take_twice_the_time(name: str) -> None:
    assert slow_inputs(READERS[name]) == []

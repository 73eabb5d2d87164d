"""Categories 1 to 5 and 7: framing, pings, reserved bits and opcodes, fragmentation, closing."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.raw_websocket import BINARY, CLOSE, CONTINUATION, PING, PONG, frame
from tests.system.conformance.case import (
    ANSWER,
    ASK,
    EDITED,
    KIB,
    KOSME,
    LONGEST,
    NO_JSON,
    NORMAL,
    NOT_UTF8,
    OCTETS,
    PROTOCOL_ERROR,
    TOO_LONG,
    TOO_LONG_OR_BINARY,
    UNSUPPORTED,
    Case,
    Received,
    chops,
    close_frame,
    fails,
    fragments,
    good,
    question,
)


def framing() -> Iterator[tuple[str, list[Case]]]:
    """Category 1."""
    yield "1.1.1", [good(frame(b""), receives=[NO_JSON])]
    for case, length in (("1.1.2", 125), ("1.1.3", 126), ("1.1.4", 127), ("1.1.5", 128)):
        yield case, [good(frame(question(case, length)), receives=[("id", case)])]
    for case, length in (("1.1.6", 65535), ("1.1.7", 65536)):
        fits = frame(question(case, length - 65536 + LONGEST))
        yield (
            case,
            [
                fails(frame(question(case, length)), closes=TOO_LONG),
                good(fits, receives=[("id", case)]),
            ],
        )
    long, fits = (frame(question("1.1.8", length)) for length in (65536, LONGEST))
    yield (
        "1.1.8",
        [
            fails(*chops(long, 997), closes=TOO_LONG),
            good(*chops(fits, 997), receives=[("id", "1.1.8")]),
        ],
    )
    for number, length in enumerate((0, 125, 126, 127, 128, 65535, 65536), 1):
        codes = UNSUPPORTED if length <= LONGEST else TOO_LONG_OR_BINARY
        yield (
            f"1.2.{number}",
            [fails(frame(bytes(length), BINARY), closes=codes)],
        )
    yield (
        "1.2.8",
        [
            fails(*chops(frame(bytes(65536), BINARY), 997), closes=TOO_LONG_OR_BINARY),
            fails(*chops(frame(bytes(LONGEST), BINARY), 997), closes=UNSUPPORTED),
        ],
    )


def pings() -> Iterator[tuple[str, list[Case]]]:
    """Category 2."""
    binary = b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff"
    longest = b"\xfe" * 125
    for case, payload in (
        ("2.1", b""),
        ("2.2", b"Hello, world!"),
        ("2.3", binary),
        ("2.4", longest),
    ):
        yield case, [good(frame(payload, PING), receives=[("pong", payload)])]
    yield "2.5", [fails(frame(b"\xfe" * 126, PING))]
    yield "2.6", [good(*chops(frame(longest, PING)), receives=[("pong", longest)], pause=OCTETS)]
    yield "2.7", [good(frame(b"", PONG))]
    yield "2.8", [good(frame(b"unsolicited pong payload", PONG))]
    told = frame(b"unsolicited pong payload", PONG) + frame(b"ping payload", PING)
    yield "2.9", [good(told, receives=[("pong", b"ping payload")])]
    ten = [b"payload-%d" % number for number in range(10)]
    all_ten = b"".join(frame(payload, PING) for payload in ten)
    answers = [("pong", payload) for payload in ten]
    yield "2.10", [good(all_ten, receives=answers)]
    yield "2.11", [good(*chops(all_ten), receives=answers, pause=OCTETS)]


def reserved_bits() -> Iterator[tuple[str, list[Case]]]:
    """Category 3."""
    ask, ping = frame(ASK), frame(b"", PING)
    yield "3.1", [fails(frame(ASK, reserved=1))]
    yield "3.2", [fails(ask + frame(ASK, reserved=2) + ping, receives=[ANSWER])]
    yield "3.3", [fails(ask, frame(ASK, reserved=3), ping, receives=[ANSWER])]
    octets = chops(ask + frame(ASK, reserved=4) + ping)
    yield "3.4", [fails(*octets, receives=[ANSWER], pause=OCTETS)]
    yield "3.5", [fails(frame(b"\x00\xff\xfe", BINARY, reserved=5))]
    yield "3.6", [fails(frame(b"Hello, world!", PING, reserved=6))]
    yield "3.7", [fails(frame(NORMAL.to_bytes(2), CLOSE, reserved=7))]


def opcodes() -> Iterator[tuple[str, list[Case]]]:
    """Category 4."""
    ask, ping = frame(ASK), frame(b"", PING)
    for group, first in (("4.1", 3), ("4.2", 11)):
        yield f"{group}.1", [fails(frame(b"", first))]
        yield f"{group}.2", [fails(frame(b"reserved opcode", first + 1))]
        yield f"{group}.3", [fails(ask, frame(b"", first + 2), ping, receives=[ANSWER])]
        odd = frame(b"reserved opcode", first + 3)
        yield f"{group}.4", [fails(ask + odd + ping, receives=[ANSWER])]
        odd = frame(b"reserved opcode", first + 4)
        yield f"{group}.5", [fails(*chops(ask + odd + ping), receives=[ANSWER], pause=OCTETS)]


def in_each_size(frames: list[bytes]) -> Iterator[tuple[tuple[bytes, ...], float]]:
    """Frames sent at once, one by one, and octet by octet; with the pause between pieces."""
    yield (b"".join(frames),), 0.0
    yield tuple(frames), 0.001
    yield tuple(chops(b"".join(frames))), OCTETS


def fragmentation() -> Iterator[tuple[str, list[Case]]]:
    """Category 5."""
    first, second = fragments(ASK, len(ASK) // 2 + 1)
    ping = frame(b"ping payload", PING)
    pong = ("pong", b"ping payload")
    yield "5.1", [fails(frame(b"frag", PING, final=False), frame(b"ment", CONTINUATION))]
    yield "5.2", [fails(frame(b"frag", PONG, final=False), frame(b"ment", CONTINUATION))]
    for number, (pieces, pause) in enumerate(in_each_size([first, second]), 3):
        yield f"5.{number}", [good(*pieces, receives=[ANSWER], pause=pause)]
    for number, (pieces, pause) in enumerate(in_each_size([first, ping, second]), 6):
        yield f"5.{number}", [good(*pieces, receives=[pong, ANSWER], pause=pause)]
    number = 9
    for final in (True, False):
        stray = [frame(b"non-continuation payload", CONTINUATION, final=final), frame(ASK)]
        for pieces, pause in in_each_size(stray):
            yield f"5.{number}", [fails(*pieces, pause=pause)]
            number += 1
    stray = [first, second, frame(b"stray", CONTINUATION, final=False), frame(ASK)]
    yield "5.15", [fails(b"".join(stray), receives=[ANSWER])]
    for case, final in (("5.16", False), ("5.17", True)):
        yield case, [fails(*[frame(b"stray", CONTINUATION, final=final), first, second] * 2)]
    yield "5.18", [fails(frame(b"fragment1", final=False), frame(b"fragment2"))]
    five = fragments(ASK, len(ASK) // 5 + 1)
    assert len(five) == 5
    kept_apart = [
        *five[:2],
        frame(b"pongme 1!", PING),
        *five[2:4],
        frame(b"pongme 2!", PING),
        five[4],
    ]
    answers: list[Received] = [("pong", b"pongme 1!"), ("pong", b"pongme 2!"), ANSWER]
    yield (
        "5.19",
        [good(b"".join(kept_apart[:3]), b"".join(kept_apart[3:]), receives=answers, pause=0.2)],
    )
    yield "5.20", [good(*kept_apart, receives=answers, pause=0.05)]


def closing() -> Iterator[tuple[str, list[Case]]]:
    """Category 7."""
    normal, ask = close_frame(NORMAL), frame(ASK)
    first, second = fragments(ASK, len(ASK) // 2 + 1)
    clean = {NORMAL}
    yield "7.1.1", [fails(ask + normal, closes=clean, receives=[ANSWER])]
    yield "7.1.2", [fails(normal + normal, closes=clean)]
    yield "7.1.3", [fails(normal + frame(b"", PING), closes=clean)]
    yield "7.1.4", [fails(normal + ask, closes=clean)]
    yield "7.1.5", [fails(first + normal + second, closes=clean)]
    long = frame(question("7.1.6", 256 * KIB)) + normal + frame(b"", PING)
    fits = frame(question("7.1.6", LONGEST)) + normal + frame(b"", PING)
    yield (
        "7.1.6",
        [fails(long, closes=TOO_LONG), fails(fits, closes=clean, receives=[("id", "7.1.6")])],
    )
    yield "7.3.1", [fails(frame(b"", CLOSE), closes={NORMAL, None})]
    yield "7.3.2", [fails(frame(b"\x03", CLOSE))]
    yield "7.3.3", [fails(normal, closes=clean)]
    yield "7.3.4", [fails(close_frame(NORMAL, b"Hello World!"), closes=clean)]
    yield "7.3.5", [fails(close_frame(NORMAL, b"*" * 123), closes=clean)]
    yield "7.3.6", [fails(close_frame(NORMAL, b"*" * 124))]
    yield "7.5.1", [fails(close_frame(NORMAL, KOSME + b"\xed\xa0\x80" + EDITED), closes=NOT_UTF8)]
    valid = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999)
    for number, code in enumerate(valid, 1):
        yield f"7.7.{number}", [fails(close_frame(code), closes={NORMAL, code})]
    for number, code in enumerate((0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999), 1):
        # aiohttp's reader takes 1006 for a code, and then ends the connection as usual.
        codes = {PROTOCOL_ERROR, NORMAL} if code == 1006 else {PROTOCOL_ERROR}
        yield f"7.9.{number}", [fails(close_frame(code), closes=codes)]
    for number, code in enumerate((5000, 65535), 1):  # what comes of these is left open
        yield f"7.13.{number}", [fails(close_frame(code), closes={NORMAL, PROTOCOL_ERROR, code})]

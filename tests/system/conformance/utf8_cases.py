"""Category 6: text that is UTF-8, and text that is not."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.raw_websocket import CONTINUATION, frame
from tests.system.conformance.case import (
    ANSWER,
    ASK,
    EDITED,
    KOSME,
    NO_JSON,
    NOT_UTF8,
    Case,
    around,
    fails,
    fragments,
    good,
    question,
)


def utf8() -> Iterator[tuple[str, list[Case]]]:
    """Category 6, of fragments and of where a fault is found: 6.1 to 6.4."""
    nothing = frame(b"", final=False)
    yield "6.1.1", [good(frame(b""), receives=[NO_JSON])]
    empty = [nothing, frame(b"", CONTINUATION, final=False), frame(b"", CONTINUATION)]
    yield "6.1.2", [good(*empty, receives=[NO_JSON])]
    inside = [nothing, frame(ASK, CONTINUATION, final=False), frame(b"", CONTINUATION)]
    yield "6.1.3", [good(*inside, receives=[ANSWER])]
    hello = "Hello-µ@ßöäüàá-UTF-8!!"
    yield "6.2.1", [good(frame(question(hello)), receives=[("id", hello)])]
    halves = fragments(question(hello), question(hello).index("ß".encode()))
    yield "6.2.2", [good(*halves[:1], b"".join(halves[1:]), receives=[("id", hello)])]
    yield "6.2.3", [good(*fragments(question(hello), 1), receives=[("id", hello)])]
    yield "6.2.4", [good(*fragments(around(KOSME), 1), receives=[("id", KOSME.decode())])]
    bad = around(KOSME + b"\xed\xa0\x80" + EDITED)
    yield "6.3.1", [fails(frame(bad), closes=NOT_UTF8)]
    yield "6.3.2", [fails(*fragments(bad, 1), closes=NOT_UTF8)]
    start, end = around(b"").split(b'""')
    after = start + b'"' + KOSME
    for case, parts in (
        ("6.4.1", (after, b"\xf4\x90\x80\x80", EDITED + b'"' + end)),
        ("6.4.2", (after + b"\xf4", b"\x90", b"\x80\x80" + EDITED + b'"' + end)),
    ):
        frames = [
            frame(parts[0], final=False),
            frame(parts[1], CONTINUATION, final=False),
            frame(parts[2], CONTINUATION),
        ]
        yield case, [fails(*frames, closes=NOT_UTF8, pause=0.05)]
    for case, behind in (("6.4.3", 4), ("6.4.4", 1)):
        message = frame(after + b"\xf4\x90\x80\x80" + EDITED + b'"' + end)
        first = message.index(_masked(message, len(after)))
        pieces = (message[:first], message[first : first + behind], message[first + behind :])
        yield case, [fails(*pieces, closes=NOT_UTF8, pause=0.05)]


def _masked(message: bytes, position: int) -> bytes:
    """What stands on the wire from the payload's byte ``position`` on."""
    head = len(message) - len(around(KOSME + b"\xf4\x90\x80\x80" + EDITED))
    return message[head + position :]


INCOMPLETE = [
    *("c0", "e080", "f08080", "f8808080", "fc80808080"),
    *("df", "efbf", "f7bfbf", "fbbfbfbf", "fdbfbfbfbf"),
]
LONELY = [(0xC0, 0xE0), (0xE0, 0xF0), (0xF0, 0xF8), (0xF8, 0xFC), (0xFC, 0xFE)]
"""The bytes that begin a sequence of two, three and so on, as ranges."""
SEQUENCES: dict[str, list[str]] = {
    # Some correct text, and all beginnings of one.
    "6.5": [
        "68656c6c6f24776f726c64",
        "68656c6c6fc2a2776f726c64",
        "68656c6c6fe282ac776f726c64",
        "68656c6c6ff0a4ada2776f726c64",
        KOSME.hex(),
    ],
    "6.6": [KOSME[:length].hex() for length in range(1, len(KOSME) + 1)],
    # The first and the last of each length, and what no length may hold.
    "6.7": ["00", "c280", "e0a080", "f0908080"],
    "6.8": ["f888808080", "fc8480808080"],
    "6.9": ["7f", "dfbf", "efbfbf", "f48fbfbf"],
    "6.10": ["f7bfbfbf", "fbbfbfbfbf", "fdbfbfbfbfbf"],
    "6.11": ["ed9fbf", "ee8080", "efbfbd", "f48fbfbf", "f4908080"],
    # Continuation bytes without a beginning, beginnings without a continuation.
    "6.12": [
        *("80", "bf", "80bf", "80bf80", "80bf80bf", "80bf80bf80", "80bf80bf80bf"),
        bytes(range(0x80, 0xC0)).hex(),
    ],
    "6.13": [bytes(b for x in range(*each) for b in (x, 0x20)).hex() for each in LONELY],
    "6.14": INCOMPLETE,
    "6.15": ["".join(INCOMPLETE)],
    "6.16": ["fe", "ff", "fefeffff"],
    # Longer than need be: a slash, the most that fits, NUL.
    "6.17": ["c0af", "e080af", "f08080af", "f8808080af", "fc80808080af"],
    "6.18": ["c1bf", "e09fbf", "f08fbfbf", "f887bfbfbf", "fc83bfbfbfbf"],
    "6.19": ["c080", "e08080", "f0808080", "f880808080", "fc8080808080"],
    # Surrogates, single and in pairs.
    "6.20": ["eda080", "edadbf", "edae80", "edafbf", "edb080", "edbe80", "edbfbf"],
    "6.21": [
        high + low
        for high in ("eda080", "edadbf", "edae80", "edafbf")
        for low in ("edb080", "edbfbf")
    ],
    # What is no character and still UTF-8, and the specials.
    "6.22": [
        chr(plane << 16 | last).encode().hex() for plane in range(17) for last in (0xFFFE, 0xFFFF)
    ],
    "6.23": [chr(code).encode().hex() for code in range(0xFFF9, 0x10000)],
}
NOT_VALID = {
    *(f"6.6.{number}" for number in (1, 3, 4, 6, 8, 10)),
    *(f"{group}.{number}" for group in ("6.8", "6.10") for number in (1, 2, 3)),
    "6.11.5",
    *(f"6.{group}.{number}" for group in range(12, 22) for number in range(1, 11)),
}
"""Those that end the connection with 1007."""


def sequences() -> Iterator[tuple[str, list[Case]]]:
    """Category 6, each byte sequence by itself and where text is wanted: 6.5 to 6.23."""
    for group, all_of_it in SEQUENCES.items():
        for number, digits in enumerate(all_of_it, 1):
            case, payload = f"{group}.{number}", bytes.fromhex(digits)
            if case in NOT_VALID:
                each = [fails(frame(data), closes=NOT_UTF8) for data in (payload, around(payload))]
            else:
                # JSON takes no control character as it is (RFC 8259 section 7).
                inside = NO_JSON if payload < b" " else ("id", payload.decode())
                each = [good(frame(payload) + frame(around(payload)), receives=[NO_JSON, inside])]
            yield case, each

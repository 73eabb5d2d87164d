"""Categories 9 and 10: long messages, at once, in fragments and in pieces."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import partial

from tests.support.raw_websocket import BINARY, CONTINUATION, TEXT, frame
from tests.system.conformance.case import (
    KIB,
    LONGEST,
    MIB,
    TOO_LONG,
    TOO_LONG_OR_BINARY,
    UNSUPPORTED,
    Case,
    chops,
    fails,
    fragments,
    good,
    question,
)


def limits() -> Iterator[tuple[str, Callable[[], list[Case]]]]:
    """Category 9 but for round trips: 9.1 to 9.6. Megabytes, so they are made when wanted."""
    for number, size in enumerate((64 * KIB, 256 * KIB, MIB, 4 * MIB, 8 * MIB, 16 * MIB), 1):
        yield f"9.1.{number}", partial(_at_once, TEXT, size)
        yield f"9.2.{number}", partial(_at_once, BINARY, size)
    for number in range(1, 10):
        yield f"9.3.{number}", partial(_in_fragments, TEXT, 16 << 2 * number)
        yield f"9.4.{number}", partial(_in_fragments, BINARY, 16 << 2 * number)
    for number in range(1, 7):
        yield f"9.5.{number}", partial(_in_chops, TEXT, 32 << number)
        yield f"9.6.{number}", partial(_in_chops, BINARY, 32 << number)


def _codes(opcode: int) -> Collection[int]:
    """How a message that is too long may end its connection."""
    return {TOO_LONG} if opcode == TEXT else TOO_LONG_OR_BINARY


def _at_once(opcode: int, size: int) -> list[Case]:
    return [fails(frame(question("long", size), opcode), closes=_codes(opcode))]


def _in_chops(opcode: int, size: int) -> list[Case]:
    long, fits = (chops(frame(question("x", length), opcode), size) for length in (MIB, LONGEST))
    return [fails(*long, closes=_codes(opcode)), _within(opcode, fits)]


def _in_fragments(opcode: int, size: int) -> list[Case]:
    """Of 4 MiB in all."""
    count = 4 * MIB // size
    first = frame(b" " * size, opcode, final=count == 1)
    middle = frame(b" " * size, CONTINUATION, final=False)
    last = frame(b" " * size, CONTINUATION)
    long = first if count == 1 else first + middle * (count - 2) + last
    fits = fragments(question("x", LONGEST), size, opcode)
    return [fails(long, closes=_codes(opcode)), _within(opcode, fits)]


def _within(opcode: int, pieces: list[bytes]) -> Case:
    """The same shape within the limit, of a question or of what is no text."""
    if opcode == TEXT:
        return good(*pieces, receives=[("id", "x")])
    return fails(*pieces, closes=UNSUPPORTED)


def autofragmentation() -> Iterator[tuple[str, list[Case]]]:
    """Category 10."""
    long, fits = (fragments(question("10.1.1", length), 1300) for length in (65536, LONGEST))
    yield "10.1.1", [fails(*long, closes=TOO_LONG), good(*fits, receives=[("id", "10.1.1")])]

"""The line that the log has of a disconnect."""

from __future__ import annotations

import asyncio
import re

import pytest

from tests.support.waiting import until


async def disconnected(log: pytest.LogCaptureFixture, device: str = "it") -> tuple[int, str]:
    """The code and the reason of a device's only line, once it is there."""

    def lines() -> list[str]:
        return [
            line
            for line in log.messages
            if line.startswith("disconnected") and f"device={device} " in line
        ]

    await until(lines)
    await asyncio.sleep(0.05)
    [line] = lines()
    found = re.fullmatch(
        r"disconnected user=(ada|-) device=\S+ address=127\.0\.0\.1 code=(\d+) reason=(\w+) "
        r"after=\d+\.\d s",
        line,
    )
    assert found, line
    return int(found[2]), found[3]

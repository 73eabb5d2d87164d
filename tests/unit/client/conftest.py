"""Fixtures of the client library."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.unit.client.kitchen import Kitchen, running


@pytest.fixture
async def kitchen() -> AsyncIterator[Kitchen]:
    async with running(Kitchen()) as started:
        yield started

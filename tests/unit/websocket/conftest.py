"""A loop whose clock the tests move."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.transports import FakeLoop


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> FakeLoop:
    fake = FakeLoop()
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: fake)
    return fake

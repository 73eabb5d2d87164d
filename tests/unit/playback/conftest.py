"""Scenarios that the tests of the rules begin with; times in seconds of the fake clock."""

from __future__ import annotations

import pytest

from tests.support.scenario import Scenario


@pytest.fixture
def scenario() -> Scenario:
    scenario = Scenario()
    scenario.connect("phone", "kiosk")
    return scenario


@pytest.fixture
def in_sync(scenario: Scenario) -> Scenario:
    """Phone and kiosk play the same song, the phone is active, both in sync at 10 s."""
    scenario.play("phone", at=0.0)
    scenario.report_for(10.0, phone=0.0, kiosk=-0.1)
    scenario.clear()
    return scenario

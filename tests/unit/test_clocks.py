"""A step of the wall clock is detected beside a monotonic clock."""

from __future__ import annotations

import time

import pytest

from audiostream.clocks import StepDetector, wall_clock
from tests.support.fakes import FakeClock

HOUR = 3600.0


class TestStepDetector:
    def test_passing_time_is_no_clock_step(self) -> None:
        wall, clock = FakeClock(), FakeClock(5.0)
        detector = StepDetector(wall, clock)
        for _ in range(3):
            wall.advance(1000.3)
            clock.advance(1000.3)
            assert detector.step() == 0.0

    @pytest.mark.parametrize("step", [3 * HOUR, -3 * HOUR, 1.0, -1.0])
    def test_a_clock_step_is_detected_once(self, step: float) -> None:
        wall, clock = FakeClock(), FakeClock(5.0)
        detector = StepDetector(wall, clock)
        wall.advance(step + 1.0)
        clock.advance(1.0)
        assert detector.step() == pytest.approx(step)
        assert detector.step() == 0.0

    def test_a_slewed_clock_becomes_a_step_in_the_end(self) -> None:
        wall, clock = FakeClock(), FakeClock(5.0)
        detector = StepDetector(wall, clock)
        steps = []
        for _ in range(10):
            wall.advance(1000.1)
            clock.advance(1000.0)
            steps.append(detector.step())
        assert sum(steps) == pytest.approx(1.0, abs=0.5)

    def test_the_wall_clock_is_that_of_the_system(self) -> None:
        assert abs(wall_clock() - time.time()) < 1.0

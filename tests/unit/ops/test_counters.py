"""What an application counts of itself."""

from __future__ import annotations

from math import inf

from audiostream.ops.counters import Counters, Histogram


def test_a_histogram_counts_values_up_to_each_bound_and_adds_them_up() -> None:
    histogram = Histogram((0.1, 1.0))
    for value in (0.05, 0.1, 0.5, 7.0):
        histogram.observe(value)
    assert list(histogram.buckets()) == [(0.1, 2), (1.0, 3), (inf, 4)]
    assert histogram.sum == 7.65


def test_a_histogram_without_values_has_all_buckets() -> None:
    assert list(Histogram((0.1, 1.0)).buckets()) == [(0.1, 0), (1.0, 0), (inf, 0)]


def test_counters_of_two_applications_are_apart() -> None:
    one, two = Counters(), Counters()
    one.commands["rest", "playTrack"] += 1
    one.loop_lag.observe(0.1)
    assert not two.commands
    assert two.loop_lag.sum == 0.0

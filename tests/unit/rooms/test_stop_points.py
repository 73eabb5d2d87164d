"""The cache of stop points: which are kept, which are unsaved, and what must be loaded."""

from __future__ import annotations

import pytest

from audiostream.playback.model import StopPoint
from audiostream.rooms.stop_points import (
    MAX_CACHED,
    MAX_UNSAVED,
    StopPointNotLoaded,
    StopPoints,
)


def added(*numbers: int) -> StopPoints:
    stop_points = StopPoints()
    for number in numbers:
        stop_points.add(StopPoint(f"track-{number}", 50.0 + number, 0.0))
    return stop_points


def test_a_track_without_a_stop_point_has_none_where_nothing_is_stored() -> None:
    assert StopPoints().position("song") is None


def test_a_track_that_may_be_stored_must_be_loaded_before_its_position_is_asked() -> None:
    stop_points = StopPoints()
    stop_points.is_complete = False
    with pytest.raises(StopPointNotLoaded, match="song"):
        stop_points.position("song")
    stop_points.add_loaded("song", None)
    assert stop_points.position("song") is None


def test_stop_points_that_were_cleared_must_be_loaded_again() -> None:
    stop_points = added(1)
    stop_points.clear()
    assert stop_points.unsaved == ()
    with pytest.raises(StopPointNotLoaded, match="track-1"):
        stop_points.position("track-1")


def test_a_stop_point_that_was_added_is_newer_than_the_loaded_one() -> None:
    stop_points = added(1)
    stop_points.add_loaded("track-1", 7.0)
    assert stop_points.position("track-1") == 51.0


def test_a_stop_point_at_the_same_position_is_not_unsaved_again() -> None:
    stop_points = added(1)
    stop_points.mark_saved(stop_points.unsaved)
    stop_points.add(StopPoint("track-1", 51.0, 9.0))
    assert stop_points.unsaved == ()


def test_stop_points_added_while_others_are_saved_stay_unsaved() -> None:
    stop_points = added(1)
    pending = tuple(stop_points.unsaved)
    stop_points.add(StopPoint("track-2", 52.0, 0.0))
    stop_points.mark_saved(pending)
    assert [each.track_id for each in stop_points.unsaved] == ["track-2"]


def test_the_oldest_saved_stop_points_leave_memory() -> None:
    stop_points = added(*range(MAX_CACHED))
    stop_points.add(StopPoint("track-0", 99.0, 0.0))  # now the newest
    stop_points.mark_saved(stop_points.unsaved)
    for number in range(3):
        stop_points.add_loaded(f"loaded-{number}", 1.0)
    assert len(stop_points) == MAX_CACHED
    assert stop_points.position("track-0") == 99.0
    assert stop_points.position("track-1") is None


def test_unsaved_stop_points_stay_in_memory_up_to_their_limit() -> None:
    stop_points = added(*range(MAX_CACHED + MAX_UNSAVED))
    assert len(stop_points.unsaved) == MAX_UNSAVED
    stop_points.add_loaded("song", 1.0)
    unsaved = {each.track_id for each in stop_points.unsaved}
    assert all(stop_points.position(track_id) is not None for track_id in unsaved)

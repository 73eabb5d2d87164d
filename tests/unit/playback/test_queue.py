"""The queue as a value: places, neighbours, shuffling."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiostream.playback.commands import Repeat
from audiostream.playback.queue import Queue, QueuePlace

TRACKS = st.sampled_from("abcd")
LISTS = st.lists(TRACKS, max_size=12).map(tuple)
REPEATS: st.SearchStrategy[Repeat] = st.sampled_from(get_args(Repeat))


@st.composite
def queues(draw: st.DrawFn) -> Queue:
    track_ids = draw(LISTS)
    index = draw(st.none() | st.integers(0, len(track_ids) - 1)) if track_ids else None
    return Queue(track_ids, index, draw(REPEATS))


def is_listed(track_id: str) -> bool:
    return track_id != "gone"


def test_a_track_that_is_twice_in_the_queue_is_looked_for_from_the_current_place_on() -> None:
    queue = Queue(("a", "b", "a"), 0)
    assert queue.with_current("a").index == 0
    at_b = queue.with_current("b")
    assert (at_b.index, at_b.with_current("a").index) == (1, 2)
    assert at_b.with_current("a").with_current("b").index == 1


def test_a_track_that_is_not_in_the_queue_empties_it_and_repeat_stays() -> None:
    assert Queue(("a", "b"), 0, "all").with_current("c") == Queue((), None, "all")


def test_the_current_track_is_looked_for_in_a_new_list_from_the_given_place() -> None:
    tracks = ("a", "b", "a")
    assert Queue().with_tracks(tracks, "a", 1).index == 2
    assert Queue().with_tracks(tracks, "b", 2).index == 1
    assert Queue().with_tracks(tracks, "c", 2).index is None
    assert Queue().with_tracks(tracks, None, 2).index is None


def test_the_first_track_follows_one_that_is_not_in_the_queue() -> None:
    assert Queue(("a", "b")).after(is_listed) == QueuePlace("a", 0)


def test_nothing_follows_the_last_track_unless_repeat_is_all() -> None:
    assert Queue(("a", "b"), 1).after(is_listed) is None
    assert Queue(("a", "b"), 1, "all").after(is_listed) == QueuePlace("a", 0)
    assert Queue(("a",), 0, "all").after(is_listed) == QueuePlace("a", 0)


def test_nothing_is_before_the_first_track_unless_repeat_is_all() -> None:
    assert Queue(("a", "b"), 0).before(is_listed) is None
    assert Queue(("a", "b"), 0, "all").before(is_listed) == QueuePlace("b", 1)
    assert Queue(("a", "b")).before(is_listed) is None


def test_tracks_that_are_gone_are_skipped_in_both_directions() -> None:
    queue = Queue(("a", "gone", "b"), 0)
    assert queue.after(is_listed) == QueuePlace("b", 2)
    assert queue.with_current("b").before(is_listed) == QueuePlace("a", 0)
    assert Queue(("gone", "gone"), None, "all").after(is_listed) is None


@pytest.mark.parametrize("current", ["a", "c"])
def test_repeat_one_is_followed_by_the_current_track_wherever_it_is(current: str) -> None:
    queue = Queue(("a", "b"), 0 if current == "a" else None, "one")
    assert queue.following(current, is_listed) == QueuePlace(current, queue.index)
    assert queue.following("gone", is_listed) == queue.after(is_listed)


@given(queues(), st.integers(0, 2**32))
def test_a_shuffle_keeps_what_is_before_and_at_the_current_place_and_every_track(
    queue: Queue, seed: int
) -> None:
    shuffled = queue.shuffled(seed)
    kept = 0 if queue.index is None else queue.index + 1
    assert shuffled.track_ids[:kept] == queue.track_ids[:kept]
    assert sorted(shuffled.track_ids) == sorted(queue.track_ids)
    assert (shuffled.index, shuffled.repeat) == (queue.index, queue.repeat)
    assert shuffled == queue.shuffled(seed)


def test_shuffles_with_different_seeds_differ() -> None:
    queue = Queue(tuple("abcdefghij"), 0)
    assert len({queue.shuffled(seed).track_ids for seed in range(20)}) > 15


@given(queues(), TRACKS)
def test_the_place_is_within_the_list_and_has_the_current_track(queue: Queue, track: str) -> None:
    moved = queue.with_current(track)
    assert moved.track_ids in (queue.track_ids, ())
    if moved.index is not None:
        assert moved.track_ids[moved.index] == track
    for place in (moved.after(is_listed), moved.before(is_listed)):
        if place is not None:
            assert place.index is not None
            assert moved.track_ids[place.index] == place.track_id


@given(queues())
def test_with_repeat_all_every_track_is_reached_by_going_on(queue: Queue) -> None:
    queue = Queue(queue.track_ids, queue.index, "all")
    visited = set()
    for _ in queue.track_ids:
        place = queue.after(is_listed)
        assert place is not None
        queue = Queue(queue.track_ids, place.index, "all")
        visited.add(place.index)
    assert visited == set(range(len(queue.track_ids)))

"""Which stop points are kept, and which are dropped."""

from __future__ import annotations

from pathlib import Path

from audiostream.playback.rules import Left
from audiostream.storage.playback_store import PlaybackStore
from audiostream.storage.stop_points import GONE_FOR, TRACKS_KEPT
from tests.support.state_files import (
    PLAYING,
    save,
    stop_points_kept,
)


def review(store: PlaybackStore, *existing: str, now: float = 0.0) -> None:
    """All of it, as after a scan that found these tracks."""
    place: tuple[str, str] | None = ("", "")
    while place is not None:
        place = store.review(place, lambda _, track_id: track_id in existing, now)


class TestLimits:
    def test_the_oldest_tracks_beyond_the_limit_are_dropped(
        self, store: PlaybackStore, path: Path
    ) -> None:
        stop_points = [Left(f"track-{n}", 9.0, float(n)) for n in range(TRACKS_KEPT)]
        save(store, PLAYING, *stop_points, Left("track-0", 10.0, 5000.0))
        save(store, PLAYING, Left("new", 11.0, 5001.0), Left("newer", 12.0, 5002.0))
        kept = stop_points_kept(path)
        assert len(kept) == TRACKS_KEPT
        assert {"track-0", "track-3", "new", "newer"} <= kept.keys()
        assert not {"track-1", "track-2"} & kept.keys()

    def test_the_limit_of_tracks_counts_for_each_user_apart(
        self, store: PlaybackStore, path: Path
    ) -> None:
        for user_id in ("ada", "bob"):
            stop_points = [Left(f"track-{n}", 9.0, float(n)) for n in range(TRACKS_KEPT)]
            save(store, PLAYING, *stop_points, user_id=user_id)
        assert (
            len(stop_points_kept(path, "ada")) == len(stop_points_kept(path, "bob")) == TRACKS_KEPT
        )

    def test_a_review_applies_the_limit_to_users_who_do_not_connect(
        self, store: PlaybackStore, path: Path
    ) -> None:
        names = [f"track-{n}" for n in range(TRACKS_KEPT + 500)]
        save(store, PLAYING, *(Left(name, 9.0, float(n)) for n, name in enumerate(names)))
        review(store, *names)
        assert stop_points_kept(path).keys() == set(names[-TRACKS_KEPT:])

    def test_a_track_missing_for_ninety_days_is_dropped(
        self, store: PlaybackStore, path: Path
    ) -> None:
        save(store, PLAYING, Left("song", 9.0, 1.0), Left("gone", 10.0, 2.0))
        review(store, "song", now=10.0)
        review(store, "song", now=9.0 + GONE_FOR)
        assert store.stop_point("ada", "gone") == 10.0
        review(store, "song", now=10.0 + GONE_FOR)
        assert store.stop_point("ada", "gone") is None
        assert stop_points_kept(path) == {"song": 1}

    def test_an_old_stop_point_is_not_dropped_when_its_track_is_missing_for_the_first_time(
        self, store: PlaybackStore
    ) -> None:
        save(store, PLAYING, Left("gone", 10.0, 0.0))
        review(store, "song", now=3 * GONE_FOR)
        assert store.stop_point("ada", "gone") == 10.0

    def test_a_track_that_came_back_or_was_played_again_is_missing_from_then_on(
        self, store: PlaybackStore
    ) -> None:
        save(store, PLAYING, Left("song", 9.0, 1.0), Left("other", 10.0, 1.0))
        review(store, now=10.0)
        save(store, PLAYING, Left("other", 11.0, 20.0))
        review(store, "song", now=GONE_FOR)
        review(store, now=10.0 + GONE_FOR)
        review(store, now=GONE_FOR + GONE_FOR - 1.0)
        assert store.stop_point("ada", "song") == 9.0
        assert store.stop_point("ada", "other") == 11.0

    def test_a_clock_set_back_drops_no_stop_point(self, store: PlaybackStore) -> None:
        save(store, PLAYING, Left("gone", 10.0, 1.0))
        review(store, now=10 * GONE_FOR)
        review(store, now=10.0)
        review(store, now=GONE_FOR)
        assert store.stop_point("ada", "gone") == 10.0

    def test_each_call_of_a_review_looks_at_200_tracks_at_most(self, store: PlaybackStore) -> None:
        names = [f"track-{n}" for n in range(1000)]
        save(store, PLAYING, *(Left(name, 9.0, float(n)) for n, name in enumerate(names)))
        asked: list[str] = []

        def exists(user_id: str, track_id: str) -> bool:
            assert user_id == "ada"
            asked.append(track_id)
            return True

        place: tuple[str, str] | None = ("", "")
        while place is not None:
            before = len(asked)
            place = store.review(place, exists, 0.0)
            assert len(asked) - before <= 200
        assert sorted(asked) == sorted(names)


def test_the_last_saved_stop_point_is_the_latest_after_the_clock_was_set_back(
    store: PlaybackStore,
) -> None:
    save(store, PLAYING, Left("song", 100.0, 5000.0))
    save(store, PLAYING, Left("song", 200.0, 10.0))
    save(store, PLAYING, Left("song", 300.0, 11.0))
    assert store.stop_point("ada", "song") == 300.0

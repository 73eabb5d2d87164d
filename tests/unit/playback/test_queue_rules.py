"""The pure rules of the queue: lists, skips, ends."""

from __future__ import annotations

import pytest

from audiostream.playback.commands import (
    NextTrack,
    PreviousTrack,
    Report,
    SetQueue,
    SetRepeat,
    ShuffleQueue,
)
from audiostream.playback.model import CommandRefused, DeviceRef, DeviceSync, Snapshot, State
from audiostream.playback.queue import Queue, QueuePlace
from audiostream.playback.queue_rules import (
    change_list,
    next_is_due,
    pause_at_end,
    reports_end,
    skip_target,
    start,
)

QUEUE = Queue(("a", "b", "c"), 1)
PHONE = DeviceRef(1, "phone")
PLAYING = State(
    track_id="b",
    duration=10.0,
    position=4.0,
    anchored_at=100.0,
    is_playing=True,
    rev=5,
    active_device=PHONE,
    queue=QUEUE,
)
ENDED = State(track_id="b", duration=10.0, position=10.0, ended_at=106.0, rev=5, queue=QUEUE)
IN_SYNC = DeviceSync(in_sync=True)


def is_listed(track_id: str) -> bool:
    return track_id in "abc"


class TestR23Queue:
    def test_a_list_change_makes_a_new_rev_and_moves_nothing(self) -> None:
        for command in (SetQueue(("b",)), SetRepeat("all"), ShuffleQueue()):
            changed = change_list(PLAYING, command, seed=1)
            assert changed.rev == 6
            assert changed.position_at(101.0) == 5.0
            assert changed.active_device == PHONE

    def test_a_list_change_for_another_rev_is_refused(self) -> None:
        with pytest.raises(CommandRefused):
            change_list(PLAYING, SetRepeat("all", if_rev=4), seed=1)

    def test_previous_is_the_track_before_within_3_seconds_and_the_same_one_later(self) -> None:
        assert skip_target(PLAYING, PreviousTrack(), 99.0, is_listed) == QueuePlace("b", 1)
        early = start(PLAYING, QueuePlace("b", 1), 100.0, duration=10.0, same_album=True)
        assert skip_target(early, PreviousTrack(), 103.0, is_listed) == QueuePlace("a", 0)

    def test_next_of_the_last_track_is_none(self) -> None:
        last = start(PLAYING, QueuePlace("c", 2), 100.0, duration=10.0, same_album=True)
        assert skip_target(last, NextTrack(), 100.0, is_listed) is None
        paused = pause_at_end(last, 103.0, PHONE)
        assert (paused.position, paused.is_playing, paused.rev) == (10.0, False, last.rev + 1)

    def test_a_skip_without_a_track_and_a_queue_is_refused(self) -> None:
        for command in (NextTrack(), PreviousTrack()):
            with pytest.raises(CommandRefused, match="nothing was played yet"):
                skip_target(State(), command, 0.0, is_listed)

    def test_a_track_starts_at_0_at_its_place_with_the_rate_of_its_album(self) -> None:
        fast = State(track_id="a", playback_rate=1.5, queue=Queue(("a", "a", "b"), 0))
        place = QueuePlace("a", 1)
        again = start(fast, place, 50.0, duration=10.0, same_album=False, device=PHONE)
        assert (again.queue.index, again.playback_rate, again.position_at(52.0)) == (1, 1.5, 3.0)
        assert again.active_device == PHONE
        other = start(fast, QueuePlace("b", 2), 50.0, duration=7.0, same_album=False)
        assert (other.playback_rate, other.duration) == (1.0, 7.0)


class TestR24EndOfTrack:
    @pytest.mark.parametrize("position", [9.0, 10.0, 11.0])
    def test_a_paused_report_within_the_tolerance_of_the_duration_is_an_end(
        self, position: float
    ) -> None:
        assert reports_end(PLAYING, IN_SYNC, Report("b", position, False), 106.0)
        assert reports_end(ENDED, IN_SYNC, Report("b", position, False), 106.0)

    def test_other_reports_are_none(self) -> None:
        for report in (
            Report("b", 8.9, False),
            Report("b", 10.0, True),
            Report("a", 10.0, False),
            Report("a", 10.0, False, ended=True),
        ):
            assert not reports_end(PLAYING, IN_SYNC, report, 106.0)

    def test_nothing_ends_that_is_paused_or_frozen(self) -> None:
        end = Report("b", 10.0, False, ended=True)
        paused = State(track_id="b", duration=10.0, position=9.5, queue=QUEUE)
        frozen = State(track_id="b", duration=10.0, is_playing=True, frozen_at=1.0, queue=QUEUE)
        assert not reports_end(paused, IN_SYNC, end, 106.0)
        assert not reports_end(frozen, IN_SYNC, end, 106.0)

    def test_a_device_that_has_not_agreed_must_have_been_able_to_come_there(self) -> None:
        sent = DeviceSync(last_sent=Snapshot("b", 4.0, True, 1.0, 100.0))
        end = Report("b", 10.0, False, ended=True)
        assert not reports_end(PLAYING, sent, end, 104.9)
        assert reports_end(PLAYING, sent, end, 105.1)
        assert not reports_end(PLAYING, DeviceSync(), end, 106.0)

    def test_what_follows_is_due_2_seconds_after_an_end_that_nobody_reported(self) -> None:
        assert not next_is_due(ENDED, IN_SYNC, is_alone=False, now=107.9)
        assert next_is_due(ENDED, IN_SYNC, is_alone=False, now=108.0)
        assert next_is_due(ENDED, None, is_alone=False, now=108.0)
        assert next_is_due(ENDED, None, is_alone=True, now=106.0)
        assert not next_is_due(PLAYING, None, is_alone=True, now=200.0)

    def test_it_waits_while_the_active_device_reports_that_it_plays(self) -> None:
        plays = DeviceSync(last_report=Snapshot("b", 9.5, True, 1.0, 107.0))
        assert not next_is_due(ENDED, plays, is_alone=False, now=108.9)
        assert next_is_due(ENDED, plays, is_alone=False, now=109.0)

"""What a room does with commands, answers and silent devices."""

from __future__ import annotations

import pytest

from audiostream.errors import TrackNotFound
from audiostream.playback.commands import PlayTrack, Report
from audiostream.playback.lifecycle import MAX_RESENDS
from audiostream.protocol.decode import GetCurrentState
from tests.support.scenario import Scene


def test_a_room_is_named_after_its_user() -> None:
    assert Scene().room.name == "user_ada"


def test_a_device_that_connects_is_sent_nothing() -> None:
    scene = Scene()
    scene.connect("phone")
    scene.play("phone")
    scene.connect("kiosk")
    assert scene.heard("kiosk") == []


class TestDirectAnswers:
    def test_only_the_senders_frame_of_a_broadcast_carries_its_id(self) -> None:
        scene = Scene()
        scene.connect("phone", "kiosk")
        scene.room.apply(PlayTrack("song"), scene.devices["phone"], "q1")
        [(event, state, frame_id)] = scene.frames("phone")
        assert (event, frame_id, state["trackId"]) == ("trackPlaying", "q1", "song")
        [(event, _, frame_id)] = scene.frames("kiosk")
        assert (event, frame_id) == ("trackPlaying", None)

    def test_an_id_of_0_or_an_empty_string_is_answered_too(self) -> None:
        scene = Scene()
        scene.connect("phone")
        for frame_id in (0, ""):
            scene.room.apply(GetCurrentState(), scene.devices["phone"], frame_id)
            assert scene.frames("phone")[0][2] == frame_id

    def test_an_absorbed_report_with_an_id_is_answered_to_its_sender_alone(self) -> None:
        scene = Scene()
        scene.connect("phone", "kiosk")
        scene.play("phone", at=0.0)
        scene.clear()
        scene.room.apply(Report("song", 0.0, True), scene.devices["phone"], 5)
        [(event, state, frame_id)] = scene.frames("phone")
        assert (event, frame_id, state["rev"]) == ("trackState", 5, 1)
        assert scene.heard("kiosk") == []

    def test_an_answer_to_an_absorbed_report_is_not_recorded_as_sent(self) -> None:
        scene = Scene()
        scene.connect("phone")
        scene.play("phone", at=0.0)
        last_sent = scene.devices["phone"].sync.last_sent
        scene.room.apply(Report("song", 0.0, True), scene.devices["phone"], 5)
        assert scene.devices["phone"].sync.last_sent is last_sent


def test_the_current_track_can_be_paused_but_not_started_after_it_left_the_library() -> None:
    scene = Scene()
    scene.connect("phone")
    scene.play("phone", at=5.0)
    del scene.shelf.durations["song"]
    scene.clear()
    scene.pause("phone")
    assert not scene.room.state.is_playing
    assert scene.heard("phone") == [("trackPaused", 5.0)]
    with pytest.raises(TrackNotFound):
        scene.play("phone", at=5.0)


class TestAssumedReports:
    def test_a_paused_device_whose_seek_was_ignored_is_sent_the_state(self) -> None:
        scene = Scene()
        scene.connect("phone", "kiosk")
        scene.pause("phone", at=10.0)
        scene.clock.advance(0.5)
        scene.report("kiosk", 300.0, playing=False)  # ignored while it is settling
        scene.clear()
        scene.wait(4.0)
        assert scene.heard("kiosk") == [("trackUpdated", 10.0)]
        assert scene.heard("phone") == []

    def test_an_ignored_pause_of_the_active_device_takes_effect_later(self) -> None:
        scene = Scene()
        scene.connect("phone", "kiosk")
        scene.play("phone", at=10.0)
        scene.clock.advance(1.0)
        scene.pause("phone", at=300.0)
        scene.clock.advance(0.3)
        scene.report("phone", 11.0, playing=False)  # in its own controls, while it is settling
        scene.clear()
        scene.wait(4.0)
        assert scene.position == 11.0
        assert scene.heard("kiosk") == [("trackUpdated", 11.0)]

    def test_a_device_that_reported_playing_and_is_silent_since_a_pause_is_taken_to_have_paused(
        self,
    ) -> None:
        scene = Scene()
        scene.connect("phone", "kiosk")
        scene.play("phone", at=10.0)
        scene.listen(3.0, phone=0.0)
        scene.report("phone", 13.0, playing=False)
        scene.report("phone", 13.0)  # sent before the pause reached it
        scene.clear()
        scene.wait(10.0)
        assert not scene.room.state.is_playing
        assert scene.heard("phone") == [("trackUpdated", 13.0)]  # it may have missed that
        assert scene.heard("kiosk") == []

    def test_each_ignored_seek_after_a_resend_is_answered_by_another(self) -> None:
        scene = Scene()
        scene.connect("phone", "kiosk")
        scene.pause("phone", at=10.0)
        for position in (300.0, 200.0, 100.0):
            scene.clock.advance(0.5)
            scene.report("kiosk", position, playing=False)
            scene.clear()
            scene.wait(3.0)
            assert scene.heard("kiosk") == [("trackUpdated", 10.0)]

    def test_a_device_that_never_follows_is_sent_the_state_a_limited_number_of_times(self) -> None:
        scene = Scene()
        scene.connect("phone", "kiosk")
        scene.play("phone", at=0.0)
        scene.clear()
        for _ in range(20):
            scene.report("phone", scene.position)
            if scene.heard("kiosk"):
                scene.report("kiosk", 0.0, playing=False)
            scene.wait(1.0)
        scene.report("kiosk", 0.0, playing=False)  # it reports again
        scene.wait(10.0)
        assert len(scene.heard("kiosk")) <= MAX_RESENDS

    def test_an_ignored_report_of_a_track_that_left_the_library_is_answered_with_the_state(
        self,
    ) -> None:
        scene = Scene()
        scene.connect("phone", "kiosk")
        scene.play("phone", at=0.0)
        scene.report("kiosk", 5.0, track="other")
        del scene.shelf.durations["other"]
        scene.clear()
        scene.wait(10.0)
        assert scene.heard("kiosk") == [("trackPlaying", 2.0)]

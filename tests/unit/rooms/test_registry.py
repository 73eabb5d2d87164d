"""Rooms: who hears what, with which id, and that nothing crosses from one user to another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from audiostream.errors import InvalidMessage, TrackNotFound
from audiostream.playback.commands import PlayTrack, Report
from audiostream.playback.lifecycle import MAX_RESENDS
from audiostream.protocol.messages import Frame, GetCurrentState
from audiostream.rooms.registry import Registry
from tests.support.fakes import FakeClock, FakeLibrary, RecordingSendQueue
from tests.support.scenario import USER, Scenario


def test_a_room_is_named_after_its_user() -> None:
    assert Scenario().room.name == "user_ada"


def test_nothing_is_told_at_connect() -> None:
    scene = Scenario()
    scene.connect("phone")
    scene.play("phone")
    scene.connect("kiosk")
    assert scene.received("kiosk") == []


def test_nothing_crosses_rooms() -> None:
    scene = Scenario()
    scene.connect("phone")
    stranger = RecordingSendQueue()
    scene.registry.connect("bob", stranger, "phone")
    scene.play("phone")
    scene.report("phone", 50.0)
    scene.wait(60.0)
    assert stranger.frames == []
    assert scene.registry.room("bob").state.rev == 0


def test_two_sockets_may_carry_the_same_label() -> None:
    scene = Scenario()
    scene.connect("phone")
    first = scene.devices["phone"]
    scene.connect("phone")  # the same phone again, before its old socket is noticed dead
    scene.registry.disconnect(USER, first)
    scene.play("phone")
    assert len(scene.received("phone")) == 1


def test_disconnecting_twice_does_no_harm() -> None:
    scene = Scenario()
    scene.connect("phone", "kiosk")
    phone = scene.devices["phone"]
    scene.registry.disconnect(USER, phone)
    scene.registry.disconnect(USER, phone)
    scene.play("kiosk")
    assert len(scene.received("kiosk")) == 1


def test_a_room_that_never_played_is_forgotten_with_its_last_device() -> None:
    scene = Scenario()
    scene.connect("phone")
    scene.disconnect("phone")
    assert scene.registry.rooms == {}


def test_a_room_that_played_is_kept() -> None:
    scene = Scenario()
    scene.connect("phone")
    scene.play("phone", at=3.0)
    scene.disconnect("phone")
    assert scene.room.state.track_id == "song"


class TestDirectAnswers:
    def test_the_answer_carries_the_id_and_the_others_do_not(self) -> None:
        scene = Scenario()
        scene.connect("phone", "kiosk")
        scene.room.perform(PlayTrack("song"), scene.devices["phone"], "q1")
        [(event, state, frame_id)] = scene.received_frames("phone")
        assert (event, frame_id, state["trackId"]) == ("trackPlaying", "q1", "song")
        [(event, _, frame_id)] = scene.received_frames("kiosk")
        assert (event, frame_id) == ("trackPlaying", None)

    def test_an_id_of_0_or_of_nothing_is_an_id(self) -> None:
        scene = Scenario()
        scene.connect("phone")
        for frame_id in (0, ""):
            scene.room.perform(GetCurrentState(), scene.devices["phone"], frame_id)
            assert scene.received_frames("phone")[0][2] == frame_id

    def test_an_absorbed_report_with_an_id_is_answered_to_its_sender_alone(self) -> None:
        scene = Scenario()
        scene.connect("phone", "kiosk")
        scene.play("phone", at=0.0)
        scene.clear()
        scene.room.perform(Report("song", 0.0, True), scene.devices["phone"], 5)
        [(event, state, frame_id)] = scene.received_frames("phone")
        assert (event, frame_id, state["rev"]) == ("trackState", 5, 1)
        assert scene.received("kiosk") == []

    def test_such_an_answer_does_not_count_as_telling(self) -> None:
        scene = Scenario()
        scene.connect("phone")
        scene.play("phone", at=0.0)
        told = scene.devices["phone"].sync.last_sent
        scene.room.perform(Report("song", 0.0, True), scene.devices["phone"], 5)
        assert scene.devices["phone"].sync.last_sent is told


def test_a_track_that_left_the_shelf_is_still_told_as_the_state() -> None:
    scene = Scenario()
    scene.connect("phone")
    scene.play("phone")
    del scene.library.durations["song"]
    scene.clear()
    scene.get_state("phone")
    [(_, state, _)] = scene.received_frames("phone")
    assert state["trackId"] == "song"
    assert "track" not in state


def test_a_description_is_told_until_there_is_another() -> None:
    @dataclass
    class KeepingShelf(FakeLibrary):
        kept: dict[str, Any] = field(default_factory=lambda: {"id": "song", "title": "Song"})

        def describe(self, user_id: str, track_id: str) -> Mapping[str, Any]:
            return self.kept

    shelf = KeepingShelf()
    scene = Scenario(library=shelf)
    scene.connect("phone")
    for title in ("Song", "Song", "Hymn", "Song"):
        if title != shelf.kept["title"]:
            shelf.kept = {"id": "song", "title": title}
        scene.play("phone")
        [(_, state, _)] = scene.received_frames("phone")
        assert state["track"] == {"id": "song", "title": title}


class TestRule16SilenceRepeats:
    def test_an_ignored_seek_of_a_paused_player_is_put_right(self) -> None:
        scene = Scenario()
        scene.connect("phone", "kiosk")
        scene.pause("phone", at=10.0)
        scene.clock.advance(0.5)
        scene.report("kiosk", 300.0, playing=False)  # ignored: it is catching up
        scene.clear()
        scene.wait(4.0)
        assert scene.received("kiosk") == [("trackUpdated", 10.0)]
        assert scene.received("phone") == []

    def test_the_last_word_of_the_active_device_counts(self) -> None:
        scene = Scenario()
        scene.connect("phone", "kiosk")
        scene.play("phone", at=10.0)
        scene.clock.advance(1.0)
        scene.pause("phone", at=300.0)
        scene.clock.advance(0.3)
        scene.report("phone", 11.0, playing=False)  # its own controls, too soon to be believed
        scene.clear()
        scene.wait(4.0)
        assert scene.position == 11.0
        assert scene.received("kiosk") == [("trackUpdated", 11.0)]

    def test_one_that_said_it_plays_and_is_silent_since_it_was_told_to_pause_has_paused(
        self,
    ) -> None:
        scene = Scenario()
        scene.connect("phone", "kiosk")
        scene.play("phone", at=10.0)
        scene.report_for(3.0, phone=0.0)
        scene.report("phone", 13.0, playing=False)
        scene.report("phone", 13.0)  # sent before it was told of the pause, which it then obeys
        scene.clear()
        scene.wait(10.0)
        assert not scene.room.state.is_playing
        assert scene.received("phone") == [("trackUpdated", 13.0)]  # it may have missed that
        assert scene.received("kiosk") == []

    def test_the_next_act_after_a_reminder_counts_too(self) -> None:
        scene = Scenario()
        scene.connect("phone", "kiosk")
        scene.pause("phone", at=10.0)
        for position in (300.0, 200.0, 100.0):
            scene.clock.advance(0.5)
            scene.report("kiosk", position, playing=False)
            scene.clear()
            scene.wait(3.0)
            assert scene.received("kiosk") == [("trackUpdated", 10.0)]

    def test_a_device_that_cannot_follow_is_not_reminded_for_ever(self) -> None:
        scene = Scenario()
        scene.connect("phone", "kiosk")
        scene.play("phone", at=0.0)
        scene.clear()
        for _ in range(20):
            scene.report("phone", scene.position)
            if scene.received("kiosk"):
                scene.report("kiosk", 0.0, playing=False)
            scene.wait(1.0)
        scene.report("kiosk", 0.0, playing=False)  # it speaks again
        scene.wait(10.0)
        assert len(scene.received("kiosk")) <= MAX_RESENDS

    def test_a_track_gone_meanwhile_ends_the_matter(self) -> None:
        scene = Scenario()
        scene.connect("phone", "kiosk")
        scene.play("phone", at=0.0)
        scene.report("kiosk", 5.0, track="other")
        del scene.library.durations["other"]
        scene.clear()
        scene.wait(10.0)
        assert scene.received("kiosk") == [("trackPlaying", 2.0)]


def test_the_current_track_can_be_paused_after_it_has_left_the_library() -> None:
    scene = Scenario()
    scene.connect("phone")
    scene.play("phone", at=5.0)
    del scene.library.durations["song"]
    scene.clear()
    scene.pause("phone")
    assert not scene.room.state.is_playing
    assert scene.received("phone") == [("trackPaused", 5.0)]
    with pytest.raises(TrackNotFound):
        scene.play("phone", at=5.0)


def test_rooms_at_rest_cost_the_housekeeping_nothing() -> None:
    looked_at: list[float] = []

    class Watch(FakeClock):
        def __call__(self) -> float:
            looked_at.append(self.now)
            return super().__call__()

    clock = Watch()
    registry = Registry(FakeLibrary(), clock)
    for number in range(100):
        device = registry.connect(f"user{number}", RecordingSendQueue(), "phone")
        registry.room(f"user{number}").perform(PlayTrack("song"), device)
    looked_at.clear()
    registry.settle()
    assert looked_at == []


def ask(scene: Scenario, name: str, **data: object) -> None:
    scene.room.receive(Frame("getDevices", data, 7), scene.devices[name])


def doings(scene: Scenario, name: str) -> list[dict[str, tuple[object, ...]]]:
    """The device lists that a device was sent since the last look."""
    return [
        {each["deviceId"]: tuple(each[key] for key in SEEN) for each in data["devices"]}
        for event, data, _ in scene.received_frames(name)
        if event == "devices"
    ]


SEEN = ("isActive", "trackId", "currentTime", "isPlaying")


class TestDevices:
    def test_each_is_listed_with_what_it_does(self) -> None:
        scene = Scenario()
        scene.connect("phone", "kiosk")
        scene.play("phone", at=10.0)
        scene.connect("late")
        scene.wait(2.0)
        ask(scene, "kiosk")
        assert doings(scene, "kiosk") == [
            {
                "phone": (True, "song", 12.0, True),
                "kiosk": (False, "song", 12.0, True),
                "late": (False, None, None, False),
            }
        ]

    def test_the_answer_carries_the_id_and_names(self) -> None:
        scene = Scenario()
        scene.connect("phone")
        scene.devices["phone"].name = "Hall"
        ask(scene, "phone")
        [(event, data, frame_id)] = scene.received_frames("phone")
        assert (event, frame_id) == ("devices", 7)
        assert [each["deviceName"] for each in data["devices"]] == ["Hall"]

    def test_what_a_device_reports_counts_more_than_what_it_was_told(self) -> None:
        scene = Scenario()
        scene.connect("phone", "kiosk")
        scene.play("phone", at=10.0)
        scene.report("kiosk", 10.0, playing=False)  # its browser does not let it play
        ask(scene, "phone")
        assert doings(scene, "phone")[-1]["kiosk"] == (False, "song", 10.0, False)

    def test_it_says_how_long_ago_a_device_has_reported(self) -> None:
        scene = Scenario()
        scene.connect("phone", "kiosk")
        scene.play("phone", at=10.0)
        scene.report("kiosk", 10.0)
        scene.wait(1.5)
        ask(scene, "phone")
        [(_, data, _)] = [
            frame for frame in scene.received_frames("phone") if frame[0] == "devices"
        ]
        ages = {each["deviceId"]: each["reportAge"] for each in data["devices"]}
        assert ages == {"phone": None, "kiosk": 1.5}

    def test_a_position_does_not_pass_the_end(self) -> None:
        scene = Scenario()
        scene.connect("phone")
        scene.play("phone", "short")
        scene.wait(20.0)
        ask(scene, "phone")
        assert doings(scene, "phone")[-1]["phone"][2] == 10.0

    def test_who_does_not_watch_hears_once(self) -> None:
        scene = Scenario()
        scene.connect("phone")
        ask(scene, "phone")
        scene.clear()
        scene.connect("kiosk")
        assert scene.received_frames("phone") == []

    def test_who_watches_hears_of_every_change_and_of_nothing_else(self) -> None:
        scene = Scenario()
        scene.connect("phone")
        ask(scene, "phone", watch=True)
        scene.clear()

        def seen() -> list[set[str]]:
            return [set(each) for each in doings(scene, "phone")]

        scene.connect("kiosk")
        assert seen() == [{"phone", "kiosk"}]
        scene.play("kiosk")
        assert seen() == [{"phone", "kiosk"}]
        scene.report_for(5.0, kiosk=0.0, phone=0.0)
        assert seen() == []
        scene.disconnect("kiosk")
        assert seen() == [{"phone"}]
        ask(scene, "phone", watch=False)
        scene.clear()
        scene.connect("kiosk")
        assert seen() == []

    def test_a_watcher_that_left_hears_nothing(self) -> None:
        scene = Scenario()
        scene.connect("phone", "kiosk")
        ask(scene, "phone", watch=True)
        scene.disconnect("phone")
        scene.clear()
        scene.play("kiosk")
        assert scene.received_frames("phone") == []
        assert scene.room._watchers == 0

    def test_another_users_devices_are_not_listed(self) -> None:
        scene = Scenario()
        scene.connect("phone")
        scene.registry.connect("bob", RecordingSendQueue(), "stranger")
        ask(scene, "phone")
        assert [set(each) for each in doings(scene, "phone")] == [{"phone"}]

    def test_watch_is_true_or_false(self) -> None:
        scene = Scenario()
        scene.connect("phone")
        with pytest.raises(InvalidMessage, match='"watch" must be true or false'):
            ask(scene, "phone", watch=1)

"""Which devices and rooms exist, and that rooms are separate."""

from __future__ import annotations

from audiostream.playback.commands import PlayTrack
from audiostream.rooms.registry import Registry
from tests.support.fakes import FakeClock, FakeLibrary, RecordingSendQueue
from tests.support.scenario import USER, Scenario


def test_another_users_device_is_sent_nothing_of_a_room() -> None:
    scenario = Scenario()
    scenario.connect("phone")
    stranger = RecordingSendQueue()
    scenario.registry.connect("bob", stranger, "phone")
    scenario.play("phone")
    scenario.report("phone", 50.0)
    scenario.wait(60.0)
    assert stranger.frames == []
    assert scenario.registry.room("bob").state.rev == 0


def test_a_device_that_disconnects_leaves_another_with_the_same_label_connected() -> None:
    scenario = Scenario()
    scenario.connect("phone")
    first = scenario.devices["phone"]
    scenario.connect("phone")  # it reconnects before its old socket times out
    scenario.registry.disconnect(USER, first)
    scenario.play("phone")
    assert len(scenario.received("phone")) == 1


def test_disconnecting_a_device_twice_changes_nothing_for_the_others() -> None:
    scenario = Scenario()
    scenario.connect("phone", "kiosk")
    phone = scenario.devices["phone"]
    scenario.registry.disconnect(USER, phone)
    scenario.registry.disconnect(USER, phone)
    scenario.play("kiosk")
    assert len(scenario.received("kiosk")) == 1


def test_a_room_in_which_nothing_was_played_is_removed_with_its_last_device() -> None:
    scenario = Scenario()
    scenario.connect("phone")
    scenario.disconnect("phone")
    assert scenario.registry.rooms == {}


def test_a_room_in_which_a_track_was_played_outlives_its_last_device() -> None:
    scenario = Scenario()
    scenario.connect("phone")
    scenario.play("phone", at=3.0)
    scenario.disconnect("phone")
    assert scenario.room.state.track_id == "song"


def test_housekeeping_visits_no_room_without_a_running_timeout() -> None:
    read_at: list[float] = []

    class CountingClock(FakeClock):
        def __call__(self) -> float:
            read_at.append(self.now)
            return super().__call__()

    clock = CountingClock()
    registry = Registry(FakeLibrary(), clock)
    for number in range(100):
        device = registry.connect(f"user{number}", RecordingSendQueue(), "phone")
        registry.room(f"user{number}").apply(PlayTrack("song"), device)
    read_at.clear()
    registry.housekeep()
    assert read_at == []

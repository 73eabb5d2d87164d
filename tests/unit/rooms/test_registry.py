"""Which devices and rooms exist, and that rooms are separate."""

from __future__ import annotations

from audiostream.playback.commands import PlayTrack
from audiostream.rooms.registry import Registry
from tests.support.fakes import FakeClock, FakeLibrary, RecordingSendQueue
from tests.support.scenario import USER, Scene


def test_another_users_device_is_sent_nothing_of_a_room() -> None:
    scene = Scene()
    scene.connect("phone")
    stranger = RecordingSendQueue()
    scene.registry.connect("bob", stranger, "phone")
    scene.play("phone")
    scene.report("phone", 50.0)
    scene.wait(60.0)
    assert stranger.frames == []
    assert scene.registry.room("bob").state.rev == 0


def test_a_device_that_disconnects_leaves_another_with_the_same_label_connected() -> None:
    scene = Scene()
    scene.connect("phone")
    first = scene.devices["phone"]
    scene.connect("phone")  # it reconnects before its old socket times out
    scene.registry.disconnect(USER, first)
    scene.play("phone")
    assert len(scene.heard("phone")) == 1


def test_disconnecting_a_device_twice_changes_nothing_for_the_others() -> None:
    scene = Scene()
    scene.connect("phone", "kiosk")
    phone = scene.devices["phone"]
    scene.registry.disconnect(USER, phone)
    scene.registry.disconnect(USER, phone)
    scene.play("kiosk")
    assert len(scene.heard("kiosk")) == 1


def test_a_room_in_which_nothing_was_played_is_removed_with_its_last_device() -> None:
    scene = Scene()
    scene.connect("phone")
    scene.disconnect("phone")
    assert scene.registry.rooms == {}


def test_a_room_in_which_a_track_was_played_outlives_its_last_device() -> None:
    scene = Scene()
    scene.connect("phone")
    scene.play("phone", at=3.0)
    scene.disconnect("phone")
    assert scene.room.state.track_id == "song"


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

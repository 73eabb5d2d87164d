"""The ``devices`` event: what is listed, and who is sent it."""

from __future__ import annotations

import pytest

from audiostream.errors import InvalidMessage
from audiostream.protocol.envelope import Frame
from tests.support.fakes import RecordingSendQueue
from tests.support.scenario import Scene


def request_list(scene: Scene, name: str, **data: object) -> None:
    scene.room.handle_frame(Frame("getDevices", data, 7), scene.devices[name])


def lists_sent(scene: Scene, name: str) -> list[dict[str, tuple[object, ...]]]:
    """The device lists that a device was sent since the last look."""
    return [
        {each["deviceId"]: tuple(each[key] for key in LISTED) for each in data["devices"]}
        for event, data, _ in scene.frames(name)
        if event == "devices"
    ]


LISTED = ("isActive", "trackId", "currentTime", "isPlaying")


class TestDevices:
    def test_each_device_is_listed_with_its_track_position_and_playing_state(self) -> None:
        scene = Scene()
        scene.connect("phone", "kiosk")
        scene.play("phone", at=10.0)
        scene.connect("late")
        scene.wait(2.0)
        request_list(scene, "kiosk")
        assert lists_sent(scene, "kiosk") == [
            {
                "phone": (True, "song", 12.0, True),
                "kiosk": (False, "song", 12.0, True),
                "late": (False, None, None, False),
            }
        ]

    def test_the_answer_to_get_devices_carries_the_frame_id_and_the_names(self) -> None:
        scene = Scene()
        scene.connect("phone")
        scene.devices["phone"].name = "Hall"
        request_list(scene, "phone")
        [(event, data, frame_id)] = scene.frames("phone")
        assert (event, frame_id) == ("devices", 7)
        assert [each["deviceName"] for each in data["devices"]] == ["Hall"]

    def test_a_device_is_listed_as_it_reported_rather_than_as_it_was_sent(self) -> None:
        scene = Scene()
        scene.connect("phone", "kiosk")
        scene.play("phone", at=10.0)
        scene.report("kiosk", 10.0, playing=False)  # its browser does not let it play
        request_list(scene, "phone")
        assert lists_sent(scene, "phone")[-1]["kiosk"] == (False, "song", 10.0, False)

    def test_each_device_is_listed_with_the_age_of_its_last_report(self) -> None:
        scene = Scene()
        scene.connect("phone", "kiosk")
        scene.play("phone", at=10.0)
        scene.report("kiosk", 10.0)
        scene.wait(1.5)
        request_list(scene, "phone")
        [(_, data, _)] = [frame for frame in scene.frames("phone") if frame[0] == "devices"]
        ages = {each["deviceId"]: each["reportAge"] for each in data["devices"]}
        assert ages == {"phone": None, "kiosk": 1.5}

    def test_the_listed_position_of_a_device_does_not_exceed_the_duration(self) -> None:
        scene = Scene()
        scene.connect("phone")
        scene.play("phone", "short")
        scene.wait(20.0)
        request_list(scene, "phone")
        assert lists_sent(scene, "phone")[-1]["phone"][2] == 10.0

    def test_a_device_that_does_not_watch_is_sent_the_list_once(self) -> None:
        scene = Scene()
        scene.connect("phone")
        request_list(scene, "phone")
        scene.clear()
        scene.connect("kiosk")
        assert scene.frames("phone") == []

    def test_a_watching_device_is_sent_every_change_and_no_positions(self) -> None:
        scene = Scene()
        scene.connect("phone")
        request_list(scene, "phone", watch=True)
        scene.clear()

        def listed() -> list[set[str]]:
            return [set(each) for each in lists_sent(scene, "phone")]

        scene.connect("kiosk")
        assert listed() == [{"phone", "kiosk"}]
        scene.play("kiosk")
        assert listed() == [{"phone", "kiosk"}]
        scene.listen(5.0, kiosk=0.0, phone=0.0)
        assert listed() == []
        scene.disconnect("kiosk")
        assert listed() == [{"phone"}]
        request_list(scene, "phone", watch=False)
        scene.clear()
        scene.connect("kiosk")
        assert listed() == []

    def test_a_watching_device_that_disconnected_is_sent_nothing(self) -> None:
        scene = Scene()
        scene.connect("phone", "kiosk")
        request_list(scene, "phone", watch=True)
        scene.disconnect("phone")
        scene.clear()
        scene.play("kiosk")
        assert scene.frames("phone") == []

    def test_devices_of_another_user_are_not_listed(self) -> None:
        scene = Scene()
        scene.connect("phone")
        scene.registry.connect("bob", RecordingSendQueue(), "stranger")
        request_list(scene, "phone")
        assert [set(each) for each in lists_sent(scene, "phone")] == [{"phone"}]

    def test_a_watch_flag_that_is_no_boolean_is_refused(self) -> None:
        scene = Scene()
        scene.connect("phone")
        with pytest.raises(InvalidMessage, match='"watch" must be true or false'):
            request_list(scene, "phone", watch=1)

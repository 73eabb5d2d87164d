"""The ``devices`` event: what is listed, and who is sent it."""

from __future__ import annotations

import pytest

from audiostream.errors import InvalidMessage
from audiostream.protocol.envelope import Frame
from tests.support.fakes import RecordingSendQueue
from tests.support.scenario import Scenario


def request_list(scenario: Scenario, name: str, **data: object) -> None:
    scenario.room.handle_frame(Frame("getDevices", data, 7), scenario.devices[name])


def lists_sent(scenario: Scenario, name: str) -> list[dict[str, tuple[object, ...]]]:
    """The device lists that a device was sent since the last look."""
    return [
        {each["deviceId"]: tuple(each[key] for key in LISTED) for each in data["devices"]}
        for event, data, _ in scenario.received_frames(name)
        if event == "devices"
    ]


LISTED = ("isActive", "trackId", "currentTime", "isPlaying")


class TestDevices:
    def test_each_device_is_listed_with_its_track_position_and_playing_state(self) -> None:
        scenario = Scenario()
        scenario.connect("phone", "kiosk")
        scenario.play("phone", at=10.0)
        scenario.connect("late")
        scenario.wait(2.0)
        request_list(scenario, "kiosk")
        assert lists_sent(scenario, "kiosk") == [
            {
                "phone": (True, "song", 12.0, True),
                "kiosk": (False, "song", 12.0, True),
                "late": (False, None, None, False),
            }
        ]

    def test_the_answer_to_get_devices_carries_the_frame_id_and_the_names(self) -> None:
        scenario = Scenario()
        scenario.connect("phone")
        scenario.devices["phone"].name = "Hall"
        request_list(scenario, "phone")
        [(event, data, frame_id)] = scenario.received_frames("phone")
        assert (event, frame_id) == ("devices", 7)
        assert [each["deviceName"] for each in data["devices"]] == ["Hall"]

    def test_a_device_is_listed_as_it_reported_rather_than_as_it_was_sent(self) -> None:
        scenario = Scenario()
        scenario.connect("phone", "kiosk")
        scenario.play("phone", at=10.0)
        scenario.report("kiosk", 10.0, playing=False)  # its browser does not let it play
        request_list(scenario, "phone")
        assert lists_sent(scenario, "phone")[-1]["kiosk"] == (False, "song", 10.0, False)

    def test_each_device_is_listed_with_the_age_of_its_last_report(self) -> None:
        scenario = Scenario()
        scenario.connect("phone", "kiosk")
        scenario.play("phone", at=10.0)
        scenario.report("kiosk", 10.0)
        scenario.wait(1.5)
        request_list(scenario, "phone")
        [(_, data, _)] = [
            frame for frame in scenario.received_frames("phone") if frame[0] == "devices"
        ]
        ages = {each["deviceId"]: each["reportAge"] for each in data["devices"]}
        assert ages == {"phone": None, "kiosk": 1.5}

    def test_the_listed_position_of_a_device_does_not_exceed_the_duration(self) -> None:
        scenario = Scenario()
        scenario.connect("phone")
        scenario.play("phone", "short")
        scenario.wait(20.0)
        request_list(scenario, "phone")
        assert lists_sent(scenario, "phone")[-1]["phone"][2] == 10.0

    def test_a_device_that_does_not_watch_is_sent_the_list_once(self) -> None:
        scenario = Scenario()
        scenario.connect("phone")
        request_list(scenario, "phone")
        scenario.clear()
        scenario.connect("kiosk")
        assert scenario.received_frames("phone") == []

    def test_a_watching_device_is_sent_every_change_and_no_positions(self) -> None:
        scenario = Scenario()
        scenario.connect("phone")
        request_list(scenario, "phone", watch=True)
        scenario.clear()

        def listed() -> list[set[str]]:
            return [set(each) for each in lists_sent(scenario, "phone")]

        scenario.connect("kiosk")
        assert listed() == [{"phone", "kiosk"}]
        scenario.play("kiosk")
        assert listed() == [{"phone", "kiosk"}]
        scenario.report_for(5.0, kiosk=0.0, phone=0.0)
        assert listed() == []
        scenario.disconnect("kiosk")
        assert listed() == [{"phone"}]
        request_list(scenario, "phone", watch=False)
        scenario.clear()
        scenario.connect("kiosk")
        assert listed() == []

    def test_a_watching_device_that_disconnected_is_sent_nothing(self) -> None:
        scenario = Scenario()
        scenario.connect("phone", "kiosk")
        request_list(scenario, "phone", watch=True)
        scenario.disconnect("phone")
        scenario.clear()
        scenario.play("kiosk")
        assert scenario.received_frames("phone") == []

    def test_devices_of_another_user_are_not_listed(self) -> None:
        scenario = Scenario()
        scenario.connect("phone")
        scenario.registry.connect("bob", RecordingSendQueue(), "stranger")
        request_list(scenario, "phone")
        assert [set(each) for each in lists_sent(scenario, "phone")] == [{"phone"}]

    def test_a_watch_flag_that_is_no_boolean_is_refused(self) -> None:
        scenario = Scenario()
        scenario.connect("phone")
        with pytest.raises(InvalidMessage, match='"watch" must be true or false'):
            request_list(scenario, "phone", watch=1)

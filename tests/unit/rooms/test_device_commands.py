"""What devices ask of each other in a room: volumes, names, and the rows that watchers are sent."""

from __future__ import annotations

from typing import Any

import pytest

from audiostream.errors import Conflict, DeviceNotFound, InvalidMessage
from audiostream.protocol.envelope import Frame, FrameId
from tests.support.scenario import Scenario

Frames = list[tuple[str, dict[str, Any], Any]]


@pytest.fixture
def scenario() -> Scenario:
    """The kiosk is the active device, the phone a remote."""
    scenario = Scenario()
    scenario.connect("phone", "kiosk")
    scenario.play("kiosk", at=0.0)
    scenario.clear()
    return scenario


def send(
    scenario: Scenario, name: str, event: str, frame_id: FrameId | None = None, **data: object
) -> dict[str, Any]:
    """Send a frame of a device, and return the data of its acknowledgement."""
    return scenario.room.handle_device_frame(Frame(event, data, frame_id), scenario.devices[name])


def watch(scenario: Scenario, name: str) -> None:
    scenario.room.send_device_list(scenario.devices[name], watch=True)
    scenario.clear()


def row(scenario: Scenario, name: str) -> tuple[object, ...]:
    """The name, volume and muted of a device as it is listed."""
    devices = scenario.room.send_device_list(scenario.devices[name], watch=False)["devices"]
    [found] = [each for each in devices if each["deviceId"] == name]
    return found["deviceName"], found["volume"], found["muted"]


class TestSetVolume:
    def test_it_is_relayed_to_the_named_device_alone(self, scenario: Scenario) -> None:
        scenario.connect("tablet")
        send(scenario, "phone", "setVolume", deviceId="kiosk", volume=0.25, muted=False)
        assert scenario.received_frames("kiosk") == [
            ("volume", {"volume": 0.25, "muted": False}, None)
        ]
        assert scenario.received("phone") == scenario.received("tablet") == []

    def test_without_a_device_it_is_relayed_to_the_active_one(self, scenario: Scenario) -> None:
        acknowledged = send(scenario, "phone", "setVolume", muted=True)
        assert scenario.received_frames("kiosk") == [("volume", {"muted": True}, None)]
        assert acknowledged == {"deviceId": "kiosk", "muted": True}

    def test_a_sender_whose_frame_has_an_id_is_answered(self, scenario: Scenario) -> None:
        send(scenario, "phone", "setVolume", 7, volume=0.5)
        answer = {"deviceId": "kiosk", "volume": 0.5}
        assert scenario.received_frames("phone") == [("volume", answer, 7)]

    def test_a_device_that_asks_itself_is_sent_both(self, scenario: Scenario) -> None:
        send(scenario, "kiosk", "setVolume", 7, volume=0.5)
        assert scenario.received_frames("kiosk") == [
            ("volume", {"volume": 0.5}, None),
            ("volume", {"deviceId": "kiosk", "volume": 0.5}, 7),
        ]

    def test_it_changes_neither_the_state_nor_the_row_of_the_device(
        self, scenario: Scenario
    ) -> None:
        before = scenario.room.state
        send(scenario, "phone", "setVolume", volume=0.5)
        assert scenario.room.state is before
        assert row(scenario, "kiosk") == (None, None, None)

    def test_of_two_devices_with_the_id_it_is_relayed_to_the_one_that_connected_last(
        self, scenario: Scenario
    ) -> None:
        former = scenario.send_queues["kiosk"]
        scenario.connect("kiosk")
        send(scenario, "phone", "setVolume", deviceId="kiosk", volume=0.5)
        assert [event for event, _ in scenario.received("kiosk")] == ["volume"]
        assert former.frames == []

    def test_without_an_active_device_that_is_connected_it_is_refused(
        self, scenario: Scenario
    ) -> None:
        scenario.disconnect("kiosk")
        with pytest.raises(DeviceNotFound, match="deviceId"):
            send(scenario, "phone", "setVolume", volume=0.5)
        with pytest.raises(DeviceNotFound):
            send(scenario, "phone", "setVolume", deviceId="kiosk", volume=0.5)

    def test_a_device_of_another_user_is_not_found(self, scenario: Scenario) -> None:
        scenario.registry.connect("bob", scenario.send_queues["kiosk"], "bobs")
        with pytest.raises(DeviceNotFound):
            send(scenario, "phone", "setVolume", deviceId="bobs", volume=0.5)
        assert scenario.received("kiosk") == []

    def test_another_rev_is_refused_with_the_state(self, scenario: Scenario) -> None:
        with pytest.raises(Conflict) as refused:
            send(scenario, "phone", "setVolume", volume=0.5, ifRev=0)
        assert refused.value.state["rev"] == 1
        assert scenario.received("kiosk") == []
        send(scenario, "phone", "setVolume", volume=0.5, ifRev=1)
        assert [event for event, _ in scenario.received("kiosk")] == ["volume"]

    def test_a_command_sent_again_is_relayed_once_and_answered_each_time(
        self, scenario: Scenario
    ) -> None:
        for frame_id in (1, 2):
            send(scenario, "phone", "setVolume", frame_id, volume=0.5, commandId="c1")
        assert len(scenario.received("kiosk")) == 1
        assert [frame_id for _, _, frame_id in scenario.received_frames("phone")] == [1, 2]

    def test_one_that_found_no_device_may_be_sent_again(self, scenario: Scenario) -> None:
        with pytest.raises(DeviceNotFound):
            send(scenario, "phone", "setVolume", deviceId="tv", volume=0.5, commandId="c1")
        scenario.connect("tv")
        send(scenario, "phone", "setVolume", deviceId="tv", volume=0.5, commandId="c1")
        assert [event for event, _ in scenario.received("tv")] == ["volume"]


class TestDeviceUpdate:
    def test_it_renames_the_sender_until_it_disconnects(self, scenario: Scenario) -> None:
        send(scenario, "kiosk", "deviceUpdate", deviceName="Kitchen", volume=0.5)
        assert row(scenario, "kiosk") == ("Kitchen", 0.5, None)
        assert row(scenario, "phone") == (None, None, None)
        scenario.disconnect("kiosk")
        scenario.connect("kiosk")
        assert row(scenario, "kiosk") == (None, None, None)

    def test_what_it_does_not_mention_stays(self, scenario: Scenario) -> None:
        send(scenario, "kiosk", "deviceUpdate", deviceName="Kitchen", volume=0.5, muted=False)
        send(scenario, "kiosk", "deviceUpdate", muted=True)
        assert row(scenario, "kiosk") == ("Kitchen", 0.5, True)
        send(scenario, "kiosk", "deviceUpdate", deviceName=" ")
        assert row(scenario, "kiosk") == (None, 0.5, True)

    def test_watchers_are_sent_the_list_and_the_sender_an_answer_to_its_id(
        self, scenario: Scenario
    ) -> None:
        watch(scenario, "phone")
        acknowledged = send(scenario, "kiosk", "deviceUpdate", 7, deviceName="Kitchen")
        [(event, data, frame_id)] = scenario.received_frames("kiosk")
        assert (event, frame_id, data) == ("devices", 7, acknowledged)
        [(event, data, frame_id)] = scenario.received_frames("phone")
        assert (event, frame_id, data) == ("devices", None, acknowledged)

    def test_a_sender_that_watches_is_sent_the_list_once(self, scenario: Scenario) -> None:
        watch(scenario, "kiosk")
        send(scenario, "kiosk", "deviceUpdate", 7, volume=0.5)
        assert [frame_id for _, _, frame_id in scenario.received_frames("kiosk")] == [7]
        send(scenario, "kiosk", "deviceUpdate", volume=0.25)
        assert [frame_id for _, _, frame_id in scenario.received_frames("kiosk")] == [None]

    def test_watchers_are_sent_nothing_where_nothing_changed(self, scenario: Scenario) -> None:
        send(scenario, "kiosk", "deviceUpdate", volume=0.5)
        watch(scenario, "phone")
        send(scenario, "kiosk", "deviceUpdate", volume=0.5)
        assert scenario.received("phone") == []

    def test_an_update_that_was_superseded_is_not_applied_again(self, scenario: Scenario) -> None:
        send(scenario, "kiosk", "deviceUpdate", volume=0.5, commandId="c1")
        send(scenario, "kiosk", "deviceUpdate", volume=0.75)
        send(scenario, "kiosk", "deviceUpdate", volume=0.5, commandId="c1")
        assert row(scenario, "kiosk") == (None, 0.75, None)

    def test_a_refused_update_changes_nothing(self, scenario: Scenario) -> None:
        with pytest.raises(InvalidMessage):
            send(scenario, "kiosk", "deviceUpdate", deviceName="Kitchen", volume=2)
        with pytest.raises(Conflict):
            send(scenario, "kiosk", "deviceUpdate", deviceName="Kitchen", ifRev=0)
        assert row(scenario, "kiosk") == (None, None, None)


class TestReportedVolume:
    def test_watchers_are_sent_a_changed_volume_but_not_each_report(
        self, scenario: Scenario
    ) -> None:
        watch(scenario, "phone")
        for volume, count in ((0.5, 1), (0.5, 0), (None, 0), (0.75, 1)):
            scenario.clock.advance(0.25)
            scenario.report("kiosk", scenario.position, volume=volume)
            assert len(scenario.received("phone")) == count
        scenario.clock.advance(0.25)
        scenario.report("kiosk", scenario.position, muted=True)
        [(_, data, _)] = scenario.received_frames("phone")
        listed = {each["deviceId"]: (each["volume"], each["muted"]) for each in data["devices"]}
        assert listed == {"phone": (None, None), "kiosk": (0.75, True)}

    def test_a_device_that_connects_again_has_none_and_is_sent_none(
        self, scenario: Scenario
    ) -> None:
        scenario.report("kiosk", scenario.position, volume=0.5, muted=True)
        scenario.disconnect("kiosk")
        scenario.connect("kiosk")
        assert scenario.received("kiosk") == []
        assert row(scenario, "kiosk") == (None, None, None)


def test_a_transfer_sent_as_a_frame_is_acknowledged_with_the_state(scenario: Scenario) -> None:
    watch(scenario, "phone")
    acknowledged = send(scenario, "phone", "transferPlayback", 7, deviceId="phone", play=False)
    assert (acknowledged["deviceId"], acknowledged["isPlaying"]) == ("phone", False)
    [(event, data, frame_id), (watched, listed, _)] = scenario.received_frames("phone")
    assert (event, frame_id, data["rev"]) == ("trackUpdated", 7, 2)
    assert watched == "devices"
    assert [each["isActive"] for each in listed["devices"]] == [True, False]

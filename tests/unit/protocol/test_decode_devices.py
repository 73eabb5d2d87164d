"""Decoding of ``transferPlayback``, ``setVolume``, ``deviceUpdate``, and volumes in reports."""

from __future__ import annotations

import math

import pytest

from audiostream.errors import InvalidMessage
from audiostream.playback.commands import Report, TransferPlayback
from audiostream.protocol.decode import decode_report
from audiostream.protocol.decode_devices import (
    DeviceUpdate,
    SetVolume,
    decode_device_update,
    decode_set_volume,
    decode_transfer,
)
from audiostream.protocol.device_labels import MAX_LABEL_LENGTH

BAD_VOLUMES = [-0.1, 1.1, 2, 10**400, math.nan, math.inf, -math.inf, True, "0.5", [0.5], {}]
NO_FLAGS = [0, 1, "true", [], {}, 0.5]
REPORT = {"trackId": "song", "currentTime": 1.0, "isPlaying": True}


class TestTransfer:
    @pytest.mark.parametrize("play", [None, True, False])
    def test_it_takes_a_device_and_whether_to_play(self, play: bool | None) -> None:
        data = {"deviceId": "kiosk", "play": play, "ifRev": 3, "commandId": "c1"}
        assert decode_transfer(data) == TransferPlayback("kiosk", play, 3, "c1")

    def test_a_device_is_all_that_it_needs(self) -> None:
        assert decode_transfer({"deviceId": "kiosk"}) == TransferPlayback("kiosk")

    @pytest.mark.parametrize("device_id", [None, "", 5, True, ["kiosk"]])
    def test_a_device_id_that_is_no_text_is_refused(self, device_id: object) -> None:
        with pytest.raises(InvalidMessage, match="deviceId"):
            decode_transfer({"deviceId": device_id})
        with pytest.raises(InvalidMessage, match="deviceId"):
            decode_transfer({})

    @pytest.mark.parametrize("play", NO_FLAGS)
    def test_a_play_that_is_neither_true_nor_false_is_refused(self, play: object) -> None:
        with pytest.raises(InvalidMessage, match="play"):
            decode_transfer({"deviceId": "kiosk", "play": play})


class TestSetVolume:
    @pytest.mark.parametrize("volume", [0, 0.0, 0.25, 1, 1.0])
    def test_volumes_from_0_to_1_are_taken(self, volume: float) -> None:
        assert decode_set_volume({"volume": volume}) == SetVolume(volume=float(volume))

    def test_muted_alone_is_enough(self) -> None:
        data = {"deviceId": "kiosk", "muted": False, "ifRev": 3, "commandId": "c1"}
        assert decode_set_volume(data) == SetVolume("kiosk", None, False, 3, "c1")

    @pytest.mark.parametrize("volume", BAD_VOLUMES)
    def test_any_other_volume_is_refused(self, volume: object) -> None:
        with pytest.raises(InvalidMessage, match="volume"):
            decode_set_volume({"volume": volume})

    @pytest.mark.parametrize("muted", NO_FLAGS)
    def test_a_muted_that_is_neither_true_nor_false_is_refused(self, muted: object) -> None:
        with pytest.raises(InvalidMessage, match="muted"):
            decode_set_volume({"volume": 0.5, "muted": muted})

    @pytest.mark.parametrize("data", [{}, {"deviceId": "kiosk"}, {"volume": None, "muted": None}])
    def test_without_volume_and_muted_it_is_refused(self, data: dict[str, object]) -> None:
        with pytest.raises(InvalidMessage, match="needed"):
            decode_set_volume(data)

    @pytest.mark.parametrize("device_id", ["", 5, True])
    def test_a_device_id_that_is_no_text_is_refused(self, device_id: object) -> None:
        with pytest.raises(InvalidMessage, match="deviceId"):
            decode_set_volume({"deviceId": device_id, "volume": 0.5})


class TestDeviceUpdate:
    def test_it_takes_a_name_and_a_volume(self) -> None:
        data = {"deviceName": " Hall ", "volume": 1, "muted": True, "ifRev": 3, "commandId": "c1"}
        assert decode_device_update(data) == DeviceUpdate(True, "Hall", 1.0, True, 3, "c1")

    def test_what_it_does_not_mention_stays(self) -> None:
        data = {"deviceName": None, "muted": False}
        assert decode_device_update(data) == DeviceUpdate(muted=False)

    def test_a_name_without_visible_characters_removes_the_name(self) -> None:
        assert decode_device_update({"deviceName": "  "}) == DeviceUpdate(renames=True)

    def test_a_long_name_is_truncated_as_in_auth(self) -> None:
        name = decode_device_update({"deviceName": "x" * 1000}).device_name
        assert name == "x" * MAX_LABEL_LENGTH

    @pytest.mark.parametrize("name", [5, True, ["Hall"], "a\x00b", "a\nb", "\ud800"])
    def test_a_name_with_control_characters_or_that_is_no_text_is_refused(
        self, name: object
    ) -> None:
        with pytest.raises(InvalidMessage, match="deviceName"):
            decode_device_update({"deviceName": name})

    def test_an_update_of_nothing_is_refused(self) -> None:
        with pytest.raises(InvalidMessage, match="needed"):
            decode_device_update({"deviceId": "kiosk"})

    @pytest.mark.parametrize("volume", BAD_VOLUMES)
    def test_a_bad_volume_is_refused(self, volume: object) -> None:
        with pytest.raises(InvalidMessage, match="volume"):
            decode_device_update({"deviceName": "Hall", "volume": volume})


class TestReports:
    def test_a_report_carries_the_end_of_the_track_and_the_volume(self) -> None:
        report = decode_report({**REPORT, "ended": True, "volume": 0.5, "muted": False})
        assert report == Report("song", 1.0, True, ended=True, volume=0.5, muted=False)

    @pytest.mark.parametrize("absent", [{}, {"ended": None, "volume": None, "muted": None}])
    def test_all_three_may_be_missing(self, absent: dict[str, object]) -> None:
        assert decode_report({**REPORT, **absent}) == Report("song", 1.0, True)

    @pytest.mark.parametrize("volume", BAD_VOLUMES)
    def test_a_report_with_a_bad_volume_is_refused(self, volume: object) -> None:
        with pytest.raises(InvalidMessage, match="volume"):
            decode_report({**REPORT, "volume": volume})

    @pytest.mark.parametrize("name", ["ended", "muted"])
    @pytest.mark.parametrize("flag", NO_FLAGS)
    def test_a_flag_that_is_neither_true_nor_false_is_refused(
        self, name: str, flag: object
    ) -> None:
        with pytest.raises(InvalidMessage, match=name):
            decode_report({**REPORT, name: flag})

"""A command that is sent again is not applied twice, as long as its id is remembered."""

from __future__ import annotations

from audiostream.rooms.applied_commands import MAX_COMMAND_IDS
from tests.support.scenario import Scenario


def test_a_command_is_applied_again_only_after_its_id_was_dropped() -> None:
    scenario = Scenario()
    scenario.connect("phone")
    for number in range(MAX_COMMAND_IDS + 1):
        scenario.play("phone", command_id=str(number))
    rev = scenario.room.state.rev
    scenario.play("phone", command_id=str(MAX_COMMAND_IDS))
    assert scenario.room.state.rev == rev
    scenario.play("phone", command_id="0")
    assert scenario.room.state.rev == rev + 1


def test_a_command_sent_again_is_answered_to_its_sender_alone() -> None:
    scenario = Scenario()
    scenario.connect("phone", "kiosk")
    scenario.play("phone", at=20.0, command_id="one")
    scenario.clear()
    scenario.play("phone", at=20.0, command_id="one", if_rev=0)
    assert scenario.received("phone") == [("trackPlaying", 20.0)]
    assert scenario.received("kiosk") == []


def test_a_command_sent_again_does_not_undo_what_was_done_since() -> None:
    scenario = Scenario()
    scenario.connect("phone", "kiosk")
    scenario.play("kiosk", at=20.0)
    scenario.pause("phone", command_id="one")
    scenario.play("kiosk")
    scenario.clear()
    assert scenario.pause("phone", command_id="one").is_playing
    assert scenario.received("phone") == [("trackPlaying", 20.0)]
    assert scenario.received("kiosk") == []

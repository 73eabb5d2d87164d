"""A command that is sent again is not applied twice, as long as its id is remembered."""

from __future__ import annotations

from audiostream.rooms.applied_commands import MAX_COMMAND_IDS, AppliedCommands
from tests.support.scenario import Scene


def test_the_oldest_command_id_is_dropped_beyond_the_limit() -> None:
    applied = AppliedCommands()
    for number in range(MAX_COMMAND_IDS + 1):
        applied.add(str(number))
    assert "0" not in applied
    assert all(str(number) in applied for number in range(1, MAX_COMMAND_IDS + 1))


def test_a_command_is_applied_again_only_after_its_id_was_dropped() -> None:
    scene = Scene()
    scene.connect("phone")
    for number in range(MAX_COMMAND_IDS + 1):
        scene.play("phone", command_id=str(number))
    rev = scene.room.state.rev
    scene.play("phone", command_id=str(MAX_COMMAND_IDS))
    assert scene.room.state.rev == rev
    scene.play("phone", command_id="0")
    assert scene.room.state.rev == rev + 1


def test_a_command_sent_again_is_answered_to_its_sender_alone() -> None:
    scene = Scene()
    scene.connect("phone", "kiosk")
    scene.play("phone", at=20.0, command_id="one")
    scene.clear()
    scene.play("phone", at=20.0, command_id="one", if_rev=0)
    assert scene.heard("phone") == [("trackPlaying", 20.0)]
    assert scene.heard("kiosk") == []


def test_a_command_sent_again_does_not_undo_what_was_done_since() -> None:
    scene = Scene()
    scene.connect("phone", "kiosk")
    scene.play("kiosk", at=20.0)
    scene.pause("phone", command_id="one")
    scene.play("kiosk")
    scene.clear()
    assert scene.pause("phone", command_id="one").is_playing
    assert scene.heard("phone") == [("trackPlaying", 20.0)]
    assert scene.heard("kiosk") == []

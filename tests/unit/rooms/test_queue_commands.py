"""The commands of the queue in a room: what they change, and who is sent what."""

from __future__ import annotations

import pytest

from audiostream.errors import Conflict, InvalidMessage, TrackNotFound
from audiostream.playback.commands import (
    NextTrack,
    PauseTrack,
    PlayTrack,
    PreviousTrack,
    Report,
    SetQueue,
    SetRepeat,
    ShuffleQueue,
)
from audiostream.protocol.decode import Command
from audiostream.protocol.decode_queue import GetQueue
from tests.support.fakes import FakeLibrary
from tests.support.scenario import Scenario

TRACKS = ("one", "two", "three")


@pytest.fixture
def album() -> Scenario:
    """Phone and kiosk; the phone plays the first of three tracks of a minute."""
    scenario = Scenario(library=FakeLibrary(dict.fromkeys((*TRACKS, "other", "secret"), 60.0)))
    scenario.library.owned["secret"] = "bob"
    scenario.connect("phone", "kiosk")
    scenario.play_album("phone", *TRACKS)
    scenario.report_for(5.0, phone=0.0, kiosk=0.0)
    scenario.clear()
    return scenario


def queue_of(scenario: Scenario) -> tuple[tuple[str, ...], int | None]:
    queue = scenario.room.state.queue
    return queue.track_ids, queue.index


class TestPlayWithQueue:
    def test_the_room_is_sent_the_track_the_next_one_and_then_the_list(self) -> None:
        scenario = Scenario(library=FakeLibrary(dict.fromkeys(TRACKS, 60.0)))
        scenario.connect("phone", "kiosk")
        scenario.play_album("phone", *TRACKS, index=1)
        for name in ("phone", "kiosk"):
            (playing, state, _), (updated, queue, _) = scenario.received_frames(name)
            assert (playing, state["trackId"], state["currentTime"]) == ("trackPlaying", "two", 0.0)
            assert state["queue"] == {"index": 1, "length": 3, "repeat": "off"}
            assert state["nextTrack"]["id"] == "three"
            assert updated == "queueUpdated"
            assert (queue["trackIds"], queue["index"], queue["rev"]) == (list(TRACKS), 1, 1)
            assert queue["nextTrack"]["id"] == "three"
            assert queue["updatedAt"] == state["updatedAt"]

    def test_the_place_is_the_first_of_the_track_unless_an_index_says_another(
        self, album: Scenario
    ) -> None:
        album.command("phone", PlayTrack("two", queue=("two", "one", "two")))
        assert queue_of(album)[1] == 0
        album.command("phone", PlayTrack("two", queue=("two", "one", "two"), queue_index=2))
        assert queue_of(album)[1] == 2

    def test_play_of_a_track_of_the_queue_moves_the_place_and_sends_no_list(
        self, album: Scenario
    ) -> None:
        album.play("kiosk", "three")
        assert queue_of(album) == (TRACKS, 2)
        assert [event for event, _, _ in album.received_frames("phone")] == ["trackPlaying"]

    def test_play_of_another_track_empties_the_queue(self, album: Scenario) -> None:
        album.play("kiosk", "other")
        assert queue_of(album) == ((), None)
        events = [event for event, _, _ in album.received_frames("phone")]
        assert events == ["trackPlaying", "queueUpdated"]

    def test_a_player_that_moves_to_another_track_of_the_queue_moves_the_place(
        self, album: Scenario
    ) -> None:
        album.report("phone", 0.0, True, "two")
        assert queue_of(album) == (TRACKS, 1)


class TestSetQueue:
    def test_what_plays_goes_on_and_the_room_is_sent_the_list_alone(self, album: Scenario) -> None:
        position, rev = album.position, album.room.state.rev
        album.room.apply(SetQueue(("two", "one", "other")), album.devices["kiosk"], "q")
        assert queue_of(album) == (("two", "one", "other"), 1)
        assert (album.position, album.room.state.rev) == (position, rev + 1)
        [(event, queue, frame_id)] = album.received_frames("kiosk")
        assert (event, queue["index"], queue["rev"], frame_id) == (
            "queueUpdated",
            1,
            rev + 1,
            "q",
        )
        [(event, _, frame_id)] = album.received_frames("phone")
        assert (event, frame_id) == ("queueUpdated", None)

    def test_a_list_without_the_current_track_begins_after_it(self, album: Scenario) -> None:
        album.command("kiosk", SetQueue(("other", "two")))
        assert queue_of(album) == (("other", "two"), None)
        assert album.command("phone", NextTrack()).track_id == "other"

    @pytest.mark.parametrize("track", ["missing", "secret"])
    def test_one_track_that_is_missing_or_foreign_refuses_the_whole_list(
        self, album: Scenario, track: str
    ) -> None:
        for command in (
            SetQueue(("one", track)),
            PlayTrack("one", queue=("one", track)),
        ):
            before = album.room.state
            with pytest.raises(TrackNotFound, match=track):
                album.command("phone", command)
            assert album.room.state is before
        assert album.received("kiosk") == []

    def test_a_track_that_left_the_library_may_stay_in_the_queue(self, album: Scenario) -> None:
        del album.library.durations["two"]
        album.command("phone", SetQueue(("one", "three", "two")))
        assert queue_of(album) == (("one", "three", "two"), 0)

    def test_a_list_that_is_too_long_is_refused_with_its_length(self, album: Scenario) -> None:
        with pytest.raises(InvalidMessage, match="at most 1000 tracks, and this one 1001"):
            album.command("phone", SetQueue(("one",) * 1001))
        album.command("phone", SetQueue(("one",) * 1000))

    def test_a_list_before_anything_was_played_waits_for_next(self) -> None:
        scenario = Scenario()
        scenario.connect("phone")
        scenario.command("phone", SetQueue(("short", "song")))
        assert scenario.room.state.track_id is None
        view = scenario.command("phone", NextTrack())
        assert (view.track_id, view.is_playing, queue_of(scenario)[1]) == ("short", True, 0)


class TestSkip:
    def test_next_plays_the_next_track_from_0_and_tells_the_room(self, album: Scenario) -> None:
        album.command("kiosk", NextTrack())
        assert album.received("phone") == [("trackPlaying", 0.0)]
        assert (album.room.state.track_id, queue_of(album)[1]) == ("two", 1)
        assert album.room.state.active_device == album.devices["kiosk"].ref

    def test_next_of_the_last_track_pauses_at_its_end(self, album: Scenario) -> None:
        album.play("phone", "three")
        album.clear()
        view = album.command("kiosk", NextTrack())
        assert (view.track_id, view.current_time, view.is_playing) == ("three", 60.0, False)
        assert album.received("phone") == [("trackPaused", 60.0)]
        album.wait(10.0)
        assert album.room.state.track_id == "three"

    def test_next_and_previous_go_around_with_repeat_all(self, album: Scenario) -> None:
        album.command("phone", SetRepeat("all"))
        album.play("phone", "three", 0.0)
        assert album.command("kiosk", NextTrack()).track_id == "one"
        assert album.command("kiosk", PreviousTrack()).track_id == "three"

    def test_next_leaves_a_track_that_repeats(self, album: Scenario) -> None:
        album.command("phone", SetRepeat("one"))
        assert album.command("phone", NextTrack()).track_id == "two"

    def test_previous_starts_the_track_again_later_than_3_seconds(self, album: Scenario) -> None:
        album.play("phone", "two", 3.5)
        view = album.command("phone", PreviousTrack())
        assert (view.track_id, view.current_time) == ("two", 0.0)
        view = album.command("phone", PreviousTrack())
        assert (view.track_id, view.current_time) == ("one", 0.0)
        assert album.command("phone", PreviousTrack()).track_id == "one"

    def test_a_skip_where_nothing_was_played_is_refused_with_conflict(self) -> None:
        scenario = Scenario()
        scenario.connect("phone")
        for command in (NextTrack(), PreviousTrack()):
            with pytest.raises(Conflict, match="nothing was played yet"):
                scenario.command("phone", command)

    def test_next_without_a_queue_pauses_at_the_end(self) -> None:
        scenario = Scenario()
        scenario.connect("phone")
        scenario.play("phone", "short")
        view = scenario.command("phone", NextTrack())
        assert (view.current_time, view.is_playing) == (10.0, False)

    def test_the_rate_stays_within_an_album_alone(self, album: Scenario) -> None:
        album.library.albums = {"one": "Book", "two": "Book", "three": "Songs"}
        album.report("phone", album.position, True, "one", playback_rate=1.5)
        assert album.command("phone", NextTrack()).playback_rate == 1.5
        assert album.command("phone", NextTrack()).playback_rate == 1.0


class TestListChanges:
    def test_a_shuffle_is_the_same_for_all_and_keeps_what_plays_first(self) -> None:
        tracks = tuple(f"track {number}" for number in range(50))
        scenario = Scenario(library=FakeLibrary(dict.fromkeys(tracks, 60.0)))
        scenario.connect("phone", "kiosk")
        scenario.play_album("phone", *tracks, index=1)
        scenario.clear()
        scenario.command("kiosk", ShuffleQueue())
        shuffled, index = queue_of(scenario)
        assert (shuffled[:2], index) == (tracks[:2], 1)
        assert shuffled != tracks
        assert sorted(shuffled) == sorted(tracks)
        for name in ("phone", "kiosk"):
            [(event, queue, _)] = scenario.received_frames(name)
            assert (event, queue["trackIds"]) == ("queueUpdated", list(shuffled))

    def test_repeat_is_part_of_the_state_and_sent_to_the_room(self, album: Scenario) -> None:
        album.command("kiosk", SetRepeat("one"))
        [(event, queue, _)] = album.received_frames("phone")
        assert (event, queue["repeat"], queue["nextTrack"]["id"]) == ("queueUpdated", "one", "one")
        assert album.get_state("phone").to_json()["queue"]["repeat"] == "one"

    def test_get_queue_is_answered_to_the_asking_device_alone(self, album: Scenario) -> None:
        rev = album.room.state.rev
        album.room.apply(GetQueue(), album.devices["kiosk"], 7)
        [(event, queue, frame_id)] = album.received_frames("kiosk")
        assert (event, frame_id, queue["trackIds"]) == ("queue", 7, list(TRACKS))
        assert album.received("phone") == []
        assert album.room.state.rev == rev


@pytest.mark.parametrize(
    "command",
    [
        SetQueue(("one",), if_rev=0),
        NextTrack(if_rev=0),
        PreviousTrack(if_rev=0),
        SetRepeat("all", if_rev=0),
        ShuffleQueue(if_rev=0),
    ],
    ids=lambda command: type(command).__name__,
)
def test_a_command_for_another_rev_is_refused_with_the_state(
    album: Scenario, command: Command
) -> None:
    before = album.room.state
    with pytest.raises(Conflict) as refused:
        album.command("phone", command)
    assert refused.value.state["rev"] == before.rev
    assert album.room.state is before


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        (SetQueue(("three", "one"), command_id="c"), "queueUpdated"),
        (NextTrack(command_id="c"), "trackPlaying"),
        (PreviousTrack(command_id="c"), "trackPlaying"),
        (SetRepeat("all", command_id="c"), "queueUpdated"),
        (ShuffleQueue(command_id="c"), "queueUpdated"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_a_command_that_is_sent_again_takes_effect_once(
    album: Scenario, command: Command, answer: str
) -> None:
    album.command("phone", command)
    after = album.room.state
    album.clear()
    album.room.apply(command, album.devices["kiosk"], 3)
    assert album.room.state is after
    [(event, _, frame_id)] = album.received_frames("kiosk")
    assert (event, frame_id) == (answer, 3)
    assert album.received("phone") == []


class TestR25RemoteNamesTheDeviceThatSounds:
    @pytest.mark.parametrize(
        "command",
        [
            PlayTrack("two", device_id="kiosk"),
            PauseTrack("one", device_id="kiosk"),
            NextTrack(device_id="kiosk"),
            PreviousTrack(device_id="kiosk"),
        ],
        ids=lambda command: type(command).__name__,
    )
    def test_the_named_device_is_the_active_one_after_the_command(
        self, album: Scenario, command: Command
    ) -> None:
        view = album.command("phone", command)
        assert view.device_id == "kiosk"
        assert album.room.state.active_device == album.devices["kiosk"].ref

    def test_the_sender_is_the_active_device_where_the_named_one_is_gone(
        self, album: Scenario
    ) -> None:
        assert album.command("kiosk", NextTrack(device_id="car")).device_id == "kiosk"

    def test_of_two_connections_of_the_named_device_the_last_one_is_active(
        self, album: Scenario
    ) -> None:
        first = album.devices["kiosk"]
        album.connect("kiosk")
        album.command("phone", NextTrack(device_id="kiosk"))
        assert album.room.state.active_device == album.devices["kiosk"].ref != first.ref


class TestR25RestPlaysWhereTheActiveDeviceIsGone:
    def test_it_leaves_no_active_device_so_that_any_may_sound(self, album: Scenario) -> None:
        album.disconnect("phone")
        assert album.pause(None, "one").device_id == "phone"
        assert album.play(None, "two").device_id is None

    def test_a_device_that_has_reconnected_stays_the_active_one(self, album: Scenario) -> None:
        album.disconnect("phone")
        album.connect("phone")
        assert album.play(None, "two").device_id == "phone"


def test_a_queue_survives_pause_seek_and_a_report_of_a_user_action(album: Scenario) -> None:
    album.pause("phone", "one")
    album.play("kiosk", "one", 30.0)
    album.room.apply(Report("one", 50.0, True), album.devices["phone"])
    album.set_state(10.0, True, "one")
    assert queue_of(album) == (TRACKS, 0)

"""What clients may write, and what they are told."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiostream.errors import Conflict, InvalidMessage, UnknownEvent
from audiostream.playback.commands import PauseTrack, PlayTrack, Report, SetState
from audiostream.protocol import messages
from audiostream.protocol.messages import (
    Familiar,
    Frame,
    GetCurrentState,
    Labels,
    StateView,
)


class TestFrames:
    def test_a_whole_frame(self) -> None:
        text = '{"event": "playTrack", "data": {"trackId": "a"}, "id": 7}'
        assert messages.parse(text) == Frame("playTrack", {"trackId": "a"}, 7)

    @pytest.mark.parametrize("text", ['{"id": 7}', '{"event": "e", "data": [], "id": 7}'])
    def test_a_broken_frame_is_still_answered_by_its_id(self, text: str) -> None:
        with pytest.raises(InvalidMessage) as refused:
            messages.parse(text)
        assert refused.value.frame_id == 7

    @pytest.mark.parametrize("data", ["", ', "data": null', ', "data": {}'])
    def test_data_may_be_missing(self, data: str) -> None:
        assert messages.parse(f'{{"event": "getCurrentState"{data}}}').data == {}

    @pytest.mark.parametrize("frame_id", [0, -1, 1.5, "a", "x" * 128, 2**62])
    def test_an_id_is_a_number_or_a_string(self, frame_id: object) -> None:
        assert messages.parse(json.dumps({"event": "e", "id": frame_id})).id == frame_id

    @pytest.mark.parametrize("frame_id", [True, [], {}, "x" * 129, 2**63])
    def test_and_nothing_else(self, frame_id: object) -> None:
        with pytest.raises(InvalidMessage):
            messages.parse(json.dumps({"event": "e", "id": frame_id}))

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "nonsense",
            "[]",
            "null",
            '"playTrack"',
            "{}",
            '{"event": ""}',
            '{"event": 1}',
            '{"event": "e", "data": []}',
            '{"event": "e", "data": "x"}',
            '{"event": "e", "id": NaN}',
            '{"event": "e", "id": 1e400}',
            '{"event": "e", "data": {"currentTime": Infinity}}',
            '{"event": "e"} {"event": "e"}',
            "[" * 100_000,
            '{"event": "e", "data": ' + '{"a":' * 100_000,
            '{"event": "e", "id": ' + "9" * 5_000 + "}",
        ],
    )
    def test_anything_else_is_refused(self, text: str) -> None:
        with pytest.raises(InvalidMessage):
            messages.parse(text)


def depth_of(content: Any) -> int:
    if not isinstance(content, dict | list):
        return 0
    inner = content.values() if isinstance(content, dict) else content
    return 1 + max(map(depth_of, inner), default=0)


class TestNesting:
    @pytest.mark.parametrize("levels", [1, 2, 31, 32])
    def test_as_deep_as_allowed(self, levels: int) -> None:
        assert messages.parse_object('{"a":' * levels + "1" + "}" * levels, 32)

    @pytest.mark.parametrize(
        "text", ['{"a":' * 33 + "1" + "}" * 33, '{"a":' + "[" * 40 + "]" * 40 + "}"]
    )
    def test_deeper(self, text: str) -> None:
        with pytest.raises(InvalidMessage, match="deeper than 32"):
            messages.parse_object(text, 32)

    @given(
        st.recursive(st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))
    )
    def test_neither_deeper_nor_flatter_than_it_is(self, content: Any) -> None:
        text, depth = json.dumps(content), depth_of(content)
        assert messages.parse_value(text, depth) == content
        if depth:
            with pytest.raises(InvalidMessage, match="deeper"):
                messages.parse_value(text, depth - 1)

    def test_brackets_in_a_string_are_not_nesting(self) -> None:
        assert messages.parse_object('{"a": "' + "[" * 100 + '"}', 32)


class TestCommands:
    def test_play(self) -> None:
        assert messages.command("playTrack", {"trackId": "a"}) == PlayTrack("a")
        data = {"trackId": "a", "currentTime": 5, "ifRev": 2}
        assert messages.command("playTrack", data) == PlayTrack("a", 5.0, 2)

    def test_play_where_it_was_left(self) -> None:
        command = messages.command("playTrack", {"trackId": "a", "resume": True})
        assert command == PlayTrack("a", resume=True)
        with pytest.raises(InvalidMessage, match="resume"):
            messages.command("playTrack", {"trackId": "a", "resume": 1})

    def test_pause(self) -> None:
        data = {"trackId": "a", "currentTime": 5.5, "ifRev": None}
        assert messages.command("pauseTrack", data) == PauseTrack("a", 5.5)

    def test_report(self) -> None:
        data = {"trackId": "a", "currentTime": 5.5, "isPlaying": True}
        assert messages.command("updateStreaming", data) == Report("a", 5.5, True)
        assert messages.command("updateStreaming", data | {"playbackRate": 2}) == Report(
            "a", 5.5, True, 2.0
        )

    def test_get_current_state(self) -> None:
        assert messages.command("getCurrentState", {"anything": 1}) == GetCurrentState()

    def test_set_state(self) -> None:
        data = {"trackId": "a", "currentTime": 1, "isPlaying": False}
        assert messages.set_state(data) == SetState("a", 1.0, False)

    def test_a_user_id_in_the_payload_changes_nothing(self) -> None:
        plain = messages.command("playTrack", {"trackId": "a"})
        assert messages.command("playTrack", {"trackId": "a", "userId": "eve"}) == plain

    def test_an_unknown_event_is_refused_by_name(self) -> None:
        with pytest.raises(UnknownEvent, match="stopTrack"):
            messages.command("stopTrack", {})

    @pytest.mark.parametrize("time", [-1.0, float("nan"), float("inf"), "5", True, [], 10**400])
    def test_impossible_positions(self, time: object) -> None:
        with pytest.raises(InvalidMessage, match="currentTime"):
            messages.command("playTrack", {"trackId": "a", "currentTime": time})

    @pytest.mark.parametrize("time", [-0.999, -0.02, -0.0])
    def test_a_media_clock_just_under_0_is_at_0(self, time: float) -> None:
        data = {"trackId": "a", "currentTime": time, "isPlaying": True}
        assert messages.command("updateStreaming", data) == Report("a", 0.0, True)

    @pytest.mark.parametrize("track", [None, "", 5, ["a"]])
    def test_impossible_track_ids(self, track: object) -> None:
        with pytest.raises(InvalidMessage, match="trackId"):
            messages.command("playTrack", {"trackId": track})

    @pytest.mark.parametrize("rate", [0, -1, 0.01, 17, "1", float("nan")])
    def test_impossible_rates(self, rate: object) -> None:
        data = {"trackId": "a", "currentTime": 1, "isPlaying": True, "playbackRate": rate}
        with pytest.raises(InvalidMessage, match="playbackRate"):
            messages.command("updateStreaming", data)

    @pytest.mark.parametrize("rev", ["1", 1.0, True])
    def test_impossible_revs(self, rev: object) -> None:
        with pytest.raises(InvalidMessage, match="ifRev"):
            messages.command("playTrack", {"trackId": "a", "ifRev": rev})

    @pytest.mark.parametrize("missing", ["trackId", "currentTime", "isPlaying"])
    def test_a_report_says_everything(self, missing: str) -> None:
        data = {"trackId": "a", "currentTime": 1, "isPlaying": True}
        del data[missing]
        with pytest.raises(InvalidMessage, match=missing):
            messages.command("updateStreaming", data)


class TestAuthenticate:
    def test_a_token_and_labels(self) -> None:
        hello = {"token": "t", "deviceId": "d", "deviceName": "Küche"}
        assert (messages.token(hello), Labels.read(hello)) == ("t", Labels("d", "Küche"))

    @pytest.mark.parametrize("token", [None, "", 5])
    def test_no_token(self, token: object) -> None:
        with pytest.raises(InvalidMessage, match="token"):
            messages.token({"token": token})

    @pytest.mark.parametrize(
        "label", [5, ["x"], {}, True, "a\nb", "\x00", "\x85", "\u2028", "\ud83d"]
    )
    def test_impossible_labels(self, label: object) -> None:
        with pytest.raises(InvalidMessage, match="deviceName"):
            Labels.read({"token": "t", "deviceName": label})


class TestEvents:
    def test_an_event(self) -> None:
        assert json.loads(messages.encode("trackState", {"rev": 1})) == {
            "event": "trackState",
            "data": {"rev": 1},
        }

    @pytest.mark.parametrize("frame_id", [0, "", "\ud800", 1.5])
    def test_an_answer_carries_the_frames_id_whatever_it_is(self, frame_id: Any) -> None:
        text = messages.encode("trackState", {}, frame_id)
        assert text.isascii()
        assert json.loads(text)["id"] == frame_id

    @given(
        st.builds(
            StateView,
            track_id=st.none() | st.text(),
            current_time=st.floats(0, allow_infinity=False),
            is_playing=st.booleans(),
            duration=st.none() | st.floats(0, allow_infinity=False),
            playback_rate=st.floats(0.0625, 16.0),
            rev=st.integers(0),
            device_id=st.none() | st.text(),
            updated_at=st.integers(0, 2**53),
            server_time=st.integers(0, 2**53),
        )
    )
    def test_a_state_is_written_out_as_it_is(self, view: StateView) -> None:
        standing, now = view.standing(), (view.current_time, view.server_time)
        assert list(json.loads(standing.at(*now)).items()) == list(view.to_json().items())
        with_track = json.loads(standing.at(*now, track='{"id":"song"}'))
        assert with_track == view.to_json() | {"track": {"id": "song"}}

    @given(st.text() | st.integers(-(2**63), 2**63) | st.floats(-1e300, 1e300))
    def test_so_is_a_frame_around_what_is_written_already(self, frame_id: Any) -> None:
        for given_id in (None, frame_id):
            frame = {"event": "trackState", "id": given_id, "data": {"rev": 1}}
            if given_id is None:
                del frame["id"]
            assert messages.frame_text("trackState", '{"rev":1}', given_id) == json.dumps(
                frame, separators=(",", ":")
            )

    def test_an_error(self) -> None:
        frame = json.loads(messages.encode_error(InvalidMessage("why"), "playTrack", 3))
        assert frame == {
            "event": "error",
            "id": 3,
            "data": {"code": "invalid_message", "message": "why", "event": "playTrack"},
        }

    def test_a_conflict_shows_the_state(self) -> None:
        frame = json.loads(messages.encode_error(Conflict("late", {"rev": 4}), "playTrack"))
        assert frame["data"]["state"] == {"rev": 4}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
NAMES = st.sampled_from(["trackId", "currentTime", "isPlaying", "playbackRate", "ifRev", "token"])
EVENTS = st.sampled_from(["playTrack", "pauseTrack", "updateStreaming", "getCurrentState"])


@given(st.text() | JSON.map(json.dumps))
def test_no_text_breaks_the_parser(text: str) -> None:
    with suppress(InvalidMessage):
        messages.parse(text)


@given(EVENTS | st.text(), st.dictionaries(NAMES, JSON))
def test_no_payload_breaks_a_command(event: str, data: dict[str, Any]) -> None:
    with suppress(InvalidMessage, UnknownEvent):
        messages.command(event, data)


def report_text(position: str, more: str = "") -> str:
    data = f'"trackId": "song", {more}"currentTime": {position}, "isPlaying": true'
    return f'{{"event": "updateStreaming", "data": {{{data}}}}}'


def question_text(frame_id: str, more: str = "") -> str:
    return f'{{"event": "getCurrentState", {more}"id": {frame_id}}}'


def heard(text: str) -> Report | Frame | None:
    """What parsing makes of a text, None if it is refused."""
    try:
        frame = messages.parse(text)
        return messages.report(frame.data) if frame.event == "updateStreaming" else frame
    except InvalidMessage:
        return None


def knowing(text: str) -> Familiar:
    """One who has been told ``text``, and perhaps learned it."""
    familiar, told = Familiar(), heard(text)
    if isinstance(told, Report):
        familiar.learn_report(text, told)
    elif told is not None and not told.data:
        familiar.learn_question(text, told)
    return familiar


class TestFamiliar:
    """Texts that differ in one number are known again, and mean what parsing makes of them."""

    @pytest.mark.parametrize("position", ["0", "7", "7.5", "123456789.123", "0.0"])
    def test_a_report_from_elsewhere_in_the_track(self, position: str) -> None:
        familiar = knowing(report_text("10.25"))
        assert familiar.report(report_text(position)) == Report("song", float(position), True)

    def test_what_else_a_report_says_is_known_too(self) -> None:
        more = '"playbackRate": 1.5, "ifRev": 3, "duration": 42.5, '
        familiar = knowing(report_text("10.25", more))
        expected = Report("song", 11.25, True, 1.5, 3, 42.5)
        assert familiar.report(report_text("11.25", more)) == expected

    @pytest.mark.parametrize("frame_id", ["0", "8", "123456789012345678"])
    def test_a_question_with_another_id(self, frame_id: str) -> None:
        familiar = knowing(question_text("7"))
        found = familiar.question(question_text(frame_id))
        assert found == Frame("getCurrentState", {}, int(frame_id))

    def test_nobody_is_known_before_he_has_spoken(self) -> None:
        assert Familiar().report(report_text("1")) is None
        assert Familiar().question(question_text("1")) is None

    @pytest.mark.parametrize(
        "number", ["", "-1", "01", "1.", ".5", "1e3", "1_0", " 1", "NaN", "1,2", "\u0661", '"1"']
    )
    def test_what_is_no_plain_number_is_parsed(self, number: str) -> None:
        assert knowing(report_text("10.25")).report(report_text(number)) is None
        assert knowing(question_text("7")).question(question_text(number)) is None

    def test_another_text_is_parsed(self) -> None:
        familiar = knowing(report_text("10.25"))
        assert familiar.report(report_text("10.25").replace("true", "false")) is None
        assert familiar.report(report_text("10.25").replace("song", "hymn")) is None
        assert familiar.report("") is None

    @pytest.mark.parametrize(
        "more",
        [
            '"currentTime": 3.0, ',
            '"x": {"currentTime": 3.0}, ',
            '"x": "currentTime", ',
            '"x": "\\u0041", ',
        ],
    )
    def test_where_it_is_not_plain_which_number_counts_nothing_is_learned(self, more: str) -> None:
        assert knowing(report_text("10.25", more)).report(report_text("7", more)) is None
        more = more.replace("currentTime", "id")
        assert knowing(question_text("10", more)).question(question_text("7", more)) is None

    @pytest.mark.parametrize("end", ["e1", "E1", ".0e1"])
    def test_a_part_of_a_number_is_no_number(self, end: str) -> None:
        assert knowing(report_text(f"0{end}")).report(report_text(f"7{end}")) is None
        assert knowing(question_text(f"0{end}")).question(question_text(f"7{end}")) is None

    def test_what_is_long_is_not_remembered(self) -> None:
        more = f'"x": "{"y" * messages.LONGEST_FAMILIAR}", '
        assert knowing(report_text("10.25", more)).report(report_text("7", more)) is None

    def test_an_escaped_name_is_no_decoy(self) -> None:
        text = report_text("5", '"x": {"currentTime": %s}, ').replace(
            '"currentTime": 5', '"current\\u0054ime": 5'
        )
        assert knowing(text % "1").report(text % "2") is None

    @given(st.data())
    def test_what_is_known_again_is_what_parsing_makes_of_it(self, data: st.DataObject) -> None:
        shape = data.draw(
            st.sampled_from(
                [
                    report_text("%s"),
                    report_text("%s", '"playbackRate": 1.5, "ifRev": 3, '),
                    report_text("%s", '"x": [[]], '),
                    report_text("%s").replace(" ", ""),
                    report_text("%se1"),
                    report_text("1%s"),
                    question_text("%s"),
                    question_text("%s", '"data": null, "x": {"y": 1}, '),
                    question_text("%s").replace(" ", "\n"),
                    "%s",
                ]
            )
        )
        numbers = st.from_regex(r"-?[0-9]{0,12}(\.[0-9]{0,18})?(e[0-9])?", fullmatch=True)
        first, second = (data.draw(numbers | st.text(max_size=4)) for _ in range(2))
        familiar, text = knowing(shape % first), shape % second
        for found in (familiar.report(text), familiar.question(text)):
            assert found is None or found == heard(text)

"""The state as JSON: the object and the template agree."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from audiostream.playback.model import DeviceRef, State
from audiostream.playback.queue import Queue
from audiostream.protocol.encode import StateTemplate, StateView

SECONDS = st.floats(0, allow_infinity=False)
STATES = st.builds(
    State,
    track_id=st.none() | st.text(),
    position=SECONDS,
    is_playing=st.booleans(),
    duration=st.none() | SECONDS,
    playback_rate=st.floats(0.0625, 16.0),
    rev=st.integers(0),
    active_device=st.none() | st.builds(DeviceRef, st.integers(1), st.text()),
    updated_at=st.floats(0, 2**43),
    queue=st.builds(
        Queue,
        st.lists(st.text()).map(tuple),
        st.none() | st.integers(0),
        st.sampled_from(("off", "one", "all")),
    ),
)


@given(STATES, st.floats(0, 2**43))
def test_a_rendered_template_is_the_state_object_with_the_same_keys_in_order(
    state: State, wall_time: float
) -> None:
    template, view = StateTemplate.of(state), StateView.of(state, 0.0, wall_time)
    moment = (view.current_time, view.server_time)
    assert list(json.loads(template.render(*moment)).items()) == list(view.to_json().items())
    with_track = json.loads(template.render(*moment, ',"track":{"id":"song"}'))
    assert with_track == view.to_json() | {"track": {"id": "song"}}


def test_a_state_view_is_extrapolated_to_now_and_dated_in_epoch_milliseconds() -> None:
    state = State(
        track_id="song",
        position=10.0,
        anchored_at=100.0,
        is_playing=True,
        rev=3,
        updated_at=1_700_000_000.5,
        active_device=DeviceRef(1, "phone"),
    )
    assert StateView.of(state, 102.25, 1_700_000_002.75).to_json() == {
        "trackId": "song",
        "currentTime": 12.25,
        "isPlaying": True,
        "playbackRate": 1.0,
        "rev": 3,
        "deviceId": "phone",
        "updatedAt": 1_700_000_000_500,
        "serverTime": 1_700_000_002_750,
        "queue": {"index": None, "length": 0, "repeat": "off"},
    }

"""Which changes of the playback start a track."""

from __future__ import annotations

from dataclasses import replace

import pytest

from audiostream.playback.history import started_track
from audiostream.playback.model import State

STOPPED = State(track_id="song", position=10.0, rev=3)
PLAYING = replace(STOPPED, is_playing=True)


@pytest.mark.parametrize(
    ("before", "after", "started"),
    [
        (State(), PLAYING, "song"),
        (STOPPED, replace(PLAYING, rev=4), "song"),
        (PLAYING, replace(PLAYING, track_id="other", rev=4), "other"),
        (PLAYING, replace(PLAYING, position=0.0, rev=4), "song"),
        (PLAYING, replace(PLAYING, position=40.0, rev=4), None),
        (PLAYING, replace(PLAYING, position=0.0), None),
        (PLAYING, replace(STOPPED, track_id="other", rev=4), None),
        (PLAYING, replace(PLAYING, frozen_at=9.0), None),
        (replace(PLAYING, frozen_at=9.0), PLAYING, None),
        (State(), replace(STOPPED, rev=4), None),
    ],
    ids=[
        "the first track",
        "resumed",
        "another track",
        "again from its beginning",
        "a seek",
        "re-anchored at its beginning",
        "another track, paused",
        "frozen",
        "a player came back",
        "the first track, paused",
    ],
)
def test_a_track_is_started_where_it_begins_to_play(
    before: State, after: State, started: str | None
) -> None:
    assert started_track(before, after) == started

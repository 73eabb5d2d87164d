"""What a sound player must do to follow a playback."""

from __future__ import annotations

import pytest

from audiostream.client.sound_plan import (
    Action,
    Load,
    Seek,
    SetNext,
    SetPaused,
    SetRate,
    Sound,
    Stop,
    Wanted,
    plan,
)
from tests.support.fake_player import track

ONE, TWO = track("one"), track("two")
PLAYING = Wanted(ONE, 10.0, True, 1.0, TWO)
PAUSED = Wanted(ONE, 10.0, False, 1.0, TWO)


@pytest.mark.parametrize(
    ("wanted", "sound", "actions"),
    [
        (None, Sound(), []),
        (None, Sound("one"), [Stop()]),
        (PLAYING, Sound(), [Load(ONE, 10.0), SetPaused(False), SetNext(TWO)]),
        (PLAYING, Sound("two", 10.0), [Load(ONE, 10.0), SetPaused(False), SetNext(TWO)]),
        (PAUSED, Sound(), []),
        (PAUSED, Sound("two", 10.0), [Stop()]),
        (PLAYING, Sound("one", 10.9, next_track_id="two"), []),
        (PLAYING, Sound("one", 9.1, next_track_id="two"), []),
        (PLAYING, Sound("one", 11.1, next_track_id="two"), [Seek(10.0)]),
        (PLAYING, Sound("one", 10.0, next_track_id=None), [SetNext(TWO)]),
        (PLAYING, Sound("one", 10.0, True, next_track_id="two"), [SetPaused(False)]),
        (PAUSED, Sound("one", 10.0, next_track_id="two"), [SetPaused(True)]),
        (PAUSED, Sound("one", 30.0, True, next_track_id="two"), [Seek(10.0)]),
        (
            Wanted(ONE, 10.0, True, 1.5, None),
            Sound("one", 10.0, next_track_id="two"),
            [SetRate(1.5), SetNext(None)],
        ),
        (
            Wanted(ONE, 0.0, True, 1.0, None),
            Sound("two", 0.0, playback_rate=1.5),
            [SetRate(1.0), Load(ONE, 0.0), SetPaused(False), SetNext(None)],
        ),
    ],
)
def test_a_sound_is_changed_as_little_as_possible(
    wanted: Wanted | None, sound: Sound, actions: list[Action]
) -> None:
    assert plan(wanted, sound, 1.0) == actions

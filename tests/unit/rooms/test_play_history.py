"""What was played and is not saved yet."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from audiostream.playback.history import PlayedTrack
from audiostream.playback.model import State
from audiostream.rooms.play_history import MAX_UNSAVED, PlayHistory

NOTHING = State()


def playing(number: int) -> State:
    return State(track_id=f"track-{number}", is_playing=True, rev=1)


@given(st.lists(st.integers(0, 2 * MAX_UNSAVED), max_size=3 * MAX_UNSAVED))
def test_each_track_is_kept_once_the_last_one_last_up_to_a_limit(numbers: list[int]) -> None:
    history = PlayHistory()
    for at, number in enumerate(numbers):
        history.record(NOTHING, playing(number), float(at))
    last = {f"track-{number}": float(at) for at, number in enumerate(numbers)}
    expected = sorted(last.items(), key=lambda item: item[1])[-MAX_UNSAVED:]
    assert [(each.track_id, each.at) for each in history.unsaved] == expected


def test_a_track_started_again_while_it_is_saved_stays_unsaved() -> None:
    history = PlayHistory()
    history.record(NOTHING, playing(1), 1.0)
    history.record(NOTHING, playing(2), 2.0)
    pending = history.unsaved
    history.record(NOTHING, playing(1), 3.0)
    history.mark_saved(pending)
    assert history.unsaved == (PlayedTrack("track-1", 3.0),)

"""Hypothesis strategies for what the processes of a cluster share."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from audiostream.playback.model import DeviceRef, Recipients, Snapshot, State
from audiostream.playback.queue import Queue
from audiostream.storage.shared_store import Change, DeviceChanges, DeviceRow, Publication

TEXTS = st.text(st.characters(), max_size=20)
"""Any characters: NUL, lone surrogates and braces too."""
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
KEYS = st.integers(0, 2**72)
COUNTS = st.integers(0, 2**53)
TRACK_IDS = st.lists(TEXTS, max_size=5).map(tuple)
REFS = st.builds(DeviceRef, KEYS, TEXTS)
STATES = st.builds(
    State,
    track_id=st.none() | TEXTS,
    duration=st.none() | FLOATS,
    position=FLOATS,
    anchored_at=FLOATS,
    is_playing=st.booleans(),
    playback_rate=FLOATS,
    rev=COUNTS,
    updated_at=FLOATS,
    active_device=st.none() | REFS,
    frozen_at=st.none() | FLOATS,
    is_interrupted=st.booleans(),
    is_abandoned=st.booleans(),
    is_measured=st.booleans(),
    ended_at=st.none() | FLOATS,
    queue=st.builds(
        Queue, TRACK_IDS, st.none() | st.integers(0, 999), st.sampled_from(("off", "all", "one"))
    ),
)
SNAPSHOTS = st.builds(Snapshot, TEXTS, FLOATS, st.booleans(), FLOATS, FLOATS)
ROWS = st.builds(
    DeviceRow,
    ref=REFS,
    process_id=TEXTS,
    name=st.none() | TEXTS,
    connected_at=FLOATS,
    reports_playing=st.booleans(),
    current=st.none() | SNAPSHOTS,
    volume=st.none() | FLOATS,
    muted=st.none() | st.booleans(),
)
DEVICE_CHANGES = st.builds(
    DeviceChanges,
    rows=st.lists(ROWS, max_size=2).map(tuple),
    removed=st.lists(KEYS, max_size=2).map(tuple),
    frames=st.lists(st.tuples(KEYS, TEXTS), max_size=2).map(tuple),
    checked=st.lists(KEYS, max_size=2).map(tuple),
)


@st.composite
def publications(draw: st.DrawFn) -> Publication:
    """Publications as they are received: of a change without stop points and history."""
    user_id, process_id, devices = draw(TEXTS), draw(TEXTS), draw(DEVICE_CHANGES)
    change = None
    if draw(st.booleans()):
        state, version = draw(STATES), draw(COUNTS)
        writes_queue = draw(st.booleans())
        change = Change(
            user_id=user_id,
            process_id=process_id,
            change_id=draw(TEXTS),
            expected_version=version,
            version=version + 1,
            state=state if writes_queue else without_queue(state),
            writes_queue=writes_queue,
            applied_ids=draw(TRACK_IDS),
            event=draw(TEXTS),
            recipients=draw(st.sampled_from(Recipients)).name,
            devices=devices,
        )
    return Publication(user_id=user_id, process_id=process_id, change=change, devices=devices)


def without_queue(state: State) -> State:
    """A state without the tracks of its queue."""
    return replace(state, queue=replace(state.queue, track_ids=()))

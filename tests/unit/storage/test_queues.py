"""Queues in the state file: kept whole, and written only when they change."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiostream.playback.commands import PauseTrack, PlayTrack, Repeat
from audiostream.playback.model import State
from audiostream.playback.queue import Queue
from audiostream.rooms.room import Room
from audiostream.storage import queues
from audiostream.storage.playback_store import PlaybackStore
from audiostream.storage.saver import IDLE_AFTER, PLAYING_SAVED_EVERY
from tests.support.fakes import RecordingSendQueue
from tests.support.server_memory import ServerMemory
from tests.support.state_files import PLAYING, save

LONG = Queue(tuple(f"track-{number}" for number in range(1000)), 3, "all")


def set_queue(memory: ServerMemory, room: Room, queue: Queue) -> None:
    """What a command does that changes the queue."""
    room.state = replace(room.state, queue=queue, rev=room.state.rev + 1)
    memory.registry.unsaved.add(room)


@given(
    track_ids=st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), max_size=30),
    repeat=st.sampled_from(["off", "one", "all"]),
)
def test_any_queue_is_loaded_as_it_was_saved(track_ids: list[str], repeat: Repeat) -> None:
    queue = Queue(tuple(track_ids), len(track_ids) - 1 if track_ids else None, repeat)
    with closing(PlaybackStore(None)) as store:
        save(store, replace(PLAYING, queue=queue))
        assert store.load("ada").state.queue == queue


def test_a_queue_is_kept_before_anything_was_played(store: PlaybackStore) -> None:
    save(store, State(rev=1, queue=LONG))
    stored = store.load("ada")
    assert (stored.state.track_id, stored.state.rev, stored.state.queue) == (None, 1, LONG)
    assert stored.stop_points == ()


def test_an_emptied_queue_leaves_no_row(store: PlaybackStore, path: Path) -> None:
    save(store, replace(PLAYING, queue=LONG))
    save(store, PLAYING)
    assert store.load("ada").state.queue == PLAYING.queue
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(*) FROM queue").fetchone() == (0,)


class TestRooms:
    async def test_a_queue_survives_a_kill_and_an_eviction_from_memory(
        self, memory: ServerMemory
    ) -> None:
        room = await memory.loader.room("ada")
        set_queue(memory, room, LONG)
        await memory.saver.flush()
        await memory.restart(killed=True)
        assert (await memory.loader.room("ada")).state.queue == LONG
        await memory.saver.flush()
        memory.clock.advance(IDLE_AFTER)
        await memory.saver.flush()
        assert "ada" not in memory.registry.rooms
        assert (await memory.loader.room("ada")).state.queue == LONG

    async def test_a_queue_that_did_not_change_is_not_encoded_again(
        self, memory: ServerMemory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        written: list[int] = []
        write = queues.save_track_ids

        def counted(db: Any, user_id: str, track_ids: tuple[str, ...]) -> None:
            written.append(len(track_ids))
            write(db, user_id, track_ids)

        monkeypatch.setattr(queues, "save_track_ids", counted)
        room = await memory.loader.room("ada")
        memory.registry.connect("ada", RecordingSendQueue(), "phone")
        room.apply(PlayTrack("song"))
        set_queue(memory, room, LONG)
        await memory.saver.flush()
        for index in range(5):
            memory.clock.advance(PLAYING_SAVED_EVERY)
            set_queue(memory, room, replace(room.state.queue, index=index))
            await memory.saver.flush()
        await memory.restart(killed=True)
        room = await memory.loader.room("ada")
        assert room.state.queue == replace(LONG, index=4)
        room.apply(PauseTrack("song", 5.0))
        await memory.saver.flush()
        assert written == [1000]
        set_queue(memory, room, Queue())
        await memory.saver.flush()
        await memory.restart(killed=True)
        assert (await memory.loader.room("ada")).state.queue == Queue()

    async def test_a_queue_that_could_not_be_written_is_written_later(
        self, memory: ServerMemory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        room = await memory.loader.room("ada")
        room.apply(PlayTrack("song"))
        await memory.saver.flush()
        memory.break_file(monkeypatch)
        set_queue(memory, room, LONG)
        await memory.saver.flush()
        monkeypatch.undo()
        await memory.saver.flush()
        await memory.restart(killed=True)
        assert (await memory.loader.room("ada")).state.queue == LONG

    async def test_a_queue_of_a_state_that_sqlite_refused_is_written_with_the_next(
        self, memory: ServerMemory
    ) -> None:
        room = await memory.loader.room("ada")
        refused = memory.registry.connect("ada", RecordingSendQueue(), "half of a pair: \ud800")
        accepted = memory.registry.connect("ada", RecordingSendQueue(), "phone")
        room.apply(PlayTrack("song"), refused)
        set_queue(memory, room, LONG)
        await memory.saver.flush()
        room.apply(PauseTrack("song", 5.0), accepted)
        await memory.saver.flush()
        await memory.restart(killed=True)
        room = await memory.loader.room("ada")
        assert room.state.queue == LONG
        assert room.state.position == 5.0

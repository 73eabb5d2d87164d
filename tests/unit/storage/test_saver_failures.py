"""A state file that cannot be read or written: playback goes on from memory, and is saved later."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Iterable
from pathlib import Path

import pytest

from audiostream.errors import StoreError
from audiostream.playback.commands import PauseTrack, PlayTrack
from audiostream.storage.playback_store import PendingWrite
from audiostream.storage.throttled_warning import WARN_EVERY
from tests.support.server_memory import ServerMemory


async def test_rooms_of_a_cancelled_flush_are_written_by_the_next(
    memory: ServerMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, save = threading.Event(), memory.store.save

    def slow(batch: Iterable[PendingWrite]) -> None:
        assert gate.wait(10.0)

    monkeypatch.setattr(memory.store, "save", slow)
    (await memory.loader.room("ada")).apply(PauseTrack("song", 9.0))
    flushing = asyncio.create_task(memory.saver.flush())
    await asyncio.sleep(0)
    flushing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await flushing
    gate.set()
    monkeypatch.setattr(memory.store, "save", save)
    await memory.saver.flush()
    await memory.restart(killed=True)
    assert (await memory.loader.room("ada")).state.position == 9.0


class TestFailingFile:
    async def test_playback_goes_on_from_memory_and_is_saved_when_the_file_can_be_written(
        self,
        memory: ServerMemory,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        caplog.set_level(logging.INFO)
        memory.break_file(monkeypatch)
        room = await memory.loader.room("ada")
        for position in range(100):
            room.apply(PauseTrack("song", float(position)))
            await memory.saver.flush()
        assert memory.saver.is_degraded
        assert caplog.text.count("playing goes on from memory") == 1
        memory.clock.advance(WARN_EVERY)
        await memory.saver.flush()
        assert caplog.text.count("playing goes on from memory") == 2
        monkeypatch.undo()
        await memory.saver.flush()
        assert not memory.saver.is_degraded
        assert "can be written again" in caplog.text
        await memory.restart(killed=True)
        assert (await memory.loader.room("ada")).state.position == 99.0

    async def test_a_file_that_cannot_be_read_refuses_rooms(
        self, memory: ServerMemory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(user_id: str) -> None:
            raise sqlite3.OperationalError("disk I/O error")

        monkeypatch.setattr(memory.store, "load", broken)
        with pytest.raises(StoreError, match="try again") as refused:
            await memory.loader.room("ada")
        assert "disk" not in str(refused.value)
        assert "ada" not in memory.registry.rooms

    async def test_changes_that_a_stop_could_not_save_are_logged(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        memory = ServerMemory(tmp_path / "other")
        (await memory.loader.room("ada")).apply(PlayTrack("song"))
        memory.break_file(monkeypatch)
        await memory.saver.close()
        assert "could not be saved" in caplog.text

    async def test_an_unexpected_error_in_a_flush_is_logged_and_flushing_goes_on(
        self,
        memory: ServerMemory,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        monkeypatch.setattr("audiostream.storage.saver.FLUSH_EVERY", 0.0)
        ticked = asyncio.Event()
        tick = memory.saver.flush

        async def once_broken() -> None:
            monkeypatch.setattr(memory.saver, "flush", again)
            raise ZeroDivisionError

        async def again() -> None:
            await tick()
            ticked.set()

        monkeypatch.setattr(memory.saver, "flush", once_broken)
        task = asyncio.create_task(memory.saver.run(lambda _: None))
        async with asyncio.timeout(5):
            await ticked.wait()
        task.cancel()
        assert "saving failed" in caplog.text

    async def test_a_slow_disk_is_logged_once_a_minute(
        self,
        memory: ServerMemory,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        for name in ("FLUSH_EVERY", "SHORTEST_PAUSE", "LATE"):
            monkeypatch.setattr(f"audiostream.storage.saver.{name}", 0.0)
        ticks = 0
        took: list[float] = []
        tick, tenth = memory.saver.flush, asyncio.Event()

        async def counted() -> None:
            nonlocal ticks
            await tick()
            ticks += 1
            if ticks == 5:
                memory.clock.advance(WARN_EVERY)
            if ticks == 10:
                tenth.set()

        monkeypatch.setattr(memory.saver, "flush", counted)
        task = asyncio.create_task(memory.saver.run(took.append))
        async with asyncio.timeout(5):
            await tenth.wait()
        task.cancel()
        assert caplog.text.count("the disk is slow") == 2
        assert len(took) in (9, 10)
        assert all(0 < each < 5 for each in took)
        assert not memory.saver.is_degraded

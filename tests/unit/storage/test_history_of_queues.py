"""Tracks that the server starts by itself are in the history, and queues go on after a restart."""

from __future__ import annotations

from audiostream.playback.commands import NextTrack, PlayTrack, SetQueue, SetRepeat
from audiostream.playback.queue import Queue
from tests.support.server_memory import ServerMemory

QUEUE = ("short", "other", "song")


async def history(memory: ServerMemory) -> list[tuple[str, float]]:
    """The tracks that Ada played, and when, in seconds since the test began."""
    entries = await memory.loader.history("ada", lambda _: True, 50)
    return [(each.track_id, each.played_at - 1_700_000_000.0) for each in entries]


async def test_a_track_that_follows_in_the_queue_is_listed(memory: ServerMemory) -> None:
    room = await memory.loader.room("ada")
    room.apply(PlayTrack("short", queue=QUEUE))
    memory.clock.advance(11.0)
    memory.registry.housekeep()
    assert await history(memory) == [("other", 11.0), ("short", 0.0)]
    await memory.saver.flush()
    assert await history(memory) == [("other", 11.0), ("short", 0.0)]


async def test_a_track_that_repeats_counts_from_its_last_start(memory: ServerMemory) -> None:
    room = await memory.loader.room("ada")
    room.apply(PlayTrack("short"))
    room.apply(SetRepeat("one"))
    memory.clock.advance(11.0)
    memory.registry.housekeep()
    assert room.state.is_playing
    assert await history(memory) == [("short", 11.0)]


async def test_a_skipped_track_is_listed(memory: ServerMemory) -> None:
    room = await memory.loader.room("ada")
    room.apply(PlayTrack("short", queue=QUEUE))
    room.apply(NextTrack())
    room.apply(NextTrack())
    assert [track for track, _ in await history(memory)] == ["song", "other", "short"]


async def test_a_queue_goes_on_after_a_kill(memory: ServerMemory) -> None:
    room = await memory.loader.room("ada")
    room.apply(PlayTrack("other", 5.0, queue=QUEUE))
    room.apply(SetRepeat("all"))
    await memory.saver.flush()
    await memory.restart(killed=True)
    room = await memory.loader.room("ada")
    assert room.state.queue == Queue(QUEUE, 1, "all")
    room.apply(NextTrack())
    room.apply(NextTrack())
    assert (room.state.track_id, room.state.queue.index) == ("short", 0)


async def test_a_queue_that_was_set_before_anything_was_played_survives_a_kill(
    memory: ServerMemory,
) -> None:
    (await memory.loader.room("ada")).apply(SetQueue(QUEUE))
    await memory.saver.flush()
    await memory.restart(killed=True)
    room = await memory.loader.room("ada")
    assert (room.state.track_id, room.state.rev) == (None, 1)
    room.apply(NextTrack())
    assert (room.state.track_id, room.state.queue.index) == ("short", 0)

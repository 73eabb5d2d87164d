"""Several processes of a cluster in one event loop, on a store in memory; and their devices."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from audiostream.cluster.process import ClusterProcess
from audiostream.protocol.envelope import Frame
from audiostream.rooms.device import Device
from audiostream.rooms.room_waits import RoomWaits
from audiostream.rooms.shared_registry import SharedRegistry
from audiostream.rooms.shared_room import SharedRoom
from audiostream.settings import Limits

from .fakes import FakeLibrary, RecordingSendQueue
from .memory_store import MemoryDatabase, MemoryStore
from .virtual_time import current_time
from .waiting import until


class FakeProcess:
    """One process, with its own connection to the store."""

    def __init__(self, database: MemoryDatabase, library: FakeLibrary, **options: Any) -> None:
        self.store = MemoryStore(database, **options)
        self.revoked: Mapping[str, float] = {}
        self.cluster = ClusterProcess(
            self.store,
            lambda process, prefix, clock: SharedRegistry(
                library, clock, process=process, key_prefix=prefix
            ),
            current_time,
            current_time,
            Limits(),
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with self.cluster.running(self._revoke):
            yield

    def _revoke(self, revoked: Mapping[str, float]) -> None:
        self.revoked = revoked

    async def connect(self, user_id: str, name: str) -> FakeDevice:
        """Return a new device of a user, connected to this process."""
        room = await self.cluster.rooms.room(user_id)
        queue = RecordingSendQueue()
        device = self.cluster.registry.connect(user_id, queue, name, None)
        return FakeDevice(self, room, device, queue)

    def disconnect(self, device: FakeDevice) -> None:
        self.cluster.registry.disconnect(device.room.user_id, device.device)


@dataclass
class FakeDevice:
    """A device: sends frames as its connection would, one after the other."""

    process: FakeProcess
    room: SharedRoom
    device: Device
    queue: RecordingSendQueue
    read: int = 0

    async def send(self, event: str, data: dict[str, Any], frame_id: Any = None) -> None:
        """Do what a frame asks for. Raises what it raises."""
        frame = Frame(event, data, frame_id)
        try:
            self.room.handle_frame(frame, self.device)
        except RoomWaits:
            rooms = self.process.cluster.rooms
            await rooms.perform(
                self.room.user_id, lambda room: room.handle_frame(frame, self.device)
            )

    async def play(self, track_id: str = "song", position: float = 0.0) -> None:
        await self.send("playTrack", {"trackId": track_id, "currentTime": position})

    async def pause(self, track_id: str = "song") -> None:
        await self.send("pauseTrack", {"trackId": track_id})

    async def report(self, position: float, track_id: str = "song", playing: bool = True) -> None:
        data = {"trackId": track_id, "currentTime": position, "isPlaying": playing}
        await self.send("updateStreaming", data)

    def news(self) -> list[tuple[str, dict[str, Any]]]:
        """Return the events since the last call."""
        frames = self.queue.frames[self.read :]
        self.read = len(self.queue.frames)
        return [(event, data) for event, data, _ in frames]

    def events(self) -> list[str]:
        return [event for event, _ in self.news()]


@dataclass
class FakeCluster:
    """``processes`` on one ``database``."""

    database: MemoryDatabase
    library: FakeLibrary
    processes: list[FakeProcess] = field(default_factory=list)

    async def settle(self) -> None:
        """Wait until nothing is under way, but for what the store does not answer."""
        for _ in range(2):  # a publication may lead to more
            for _ in range(50):
                await asyncio.sleep(0)
            with suppress(TimeoutError):
                await until(self._is_idle, patience=0.3)

    async def start_playing(self, device: FakeDevice) -> None:
        """Have a device play "song" from 5 s on, and report so; settle."""
        await device.play("song", 5.0)
        await device.report(5.0)
        await self.settle()

    def _is_idle(self) -> bool:
        return not any(len(each.cluster._later) for each in self.processes)


@asynccontextmanager
async def cluster_of(
    number: int, clock: Callable[[], float] = current_time, **options: Any
) -> AsyncIterator[FakeCluster]:
    """Run some processes; ``options`` are those of ``MemoryStore``."""
    cluster = FakeCluster(MemoryDatabase(clock), FakeLibrary())
    async with AsyncExitStack() as stack:
        for _ in range(number):
            process = FakeProcess(cluster.database, cluster.library, **options)
            await stack.enter_async_context(process.running())
            cluster.processes.append(process)
        yield cluster


@asynccontextmanager
async def phone_and_kiosk() -> AsyncIterator[tuple[FakeCluster, FakeDevice, FakeDevice]]:
    """Run two processes, to the first of which Ada's phone is connected, to the other her kiosk."""
    async with cluster_of(2) as cluster:
        one, two = cluster.processes
        phone, kiosk = await one.connect("ada", "phone"), await two.connect("ada", "kiosk")
        await cluster.settle()
        yield cluster, phone, kiosk

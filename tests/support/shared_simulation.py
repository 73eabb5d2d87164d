"""The simulation of ``simulation``, with the players of one user on several processes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Any

from audiostream.cluster.process import ClusterProcess
from audiostream.errors import Conflict, Unavailable
from audiostream.playback.commands import Report
from audiostream.protocol.decode import Command
from audiostream.rooms.device import Device
from audiostream.rooms.room_waits import RoomWaits
from audiostream.rooms.shared_registry import SharedRegistry
from audiostream.rooms.shared_room import SharedRoom
from audiostream.settings import Limits
from audiostream.websocket.waiting_frames import WaitingFrames

from .memory_store import MemoryDatabase, MemoryStore
from .simulation import USER, Link, Network, Player, ServerEnd, Simulation
from .virtual_time import VirtualTimeLoop


class LoopClock:
    """The clock of the loop, as the simulation reads it."""

    def __init__(self, loop: VirtualTimeLoop) -> None:
        self._loop = loop

    @property
    def now(self) -> float:
        return self._loop.now

    def __call__(self) -> float:
        return self._loop.now


class SharedSimulation(Simulation):
    """``processes`` of them, each ``store_delay`` seconds at most, one way, from the store."""

    def __init__(
        self,
        seed: int,
        network: Network,
        players: int = 3,
        *,
        processes: int = 3,
        store_delay: float = 0.05,
        **options: Any,
    ) -> None:
        self.loop = VirtualTimeLoop()
        self.store_delay = store_delay
        self._stack = AsyncExitStack()
        super().__init__(seed, network, 0, **options)
        self.clock = LoopClock(self.loop)  # type: ignore[assignment]  # it is read alone
        self.database = MemoryDatabase(self.clock)
        self.stores: dict[ClusterProcess, MemoryStore] = {}
        self.processes = [self.start_process() for _ in range(processes)]
        self.on_processes = [SharedPlayer(self, f"player{number}") for number in range(players)]
        self.players = list(self.on_processes)
        for number, player in enumerate(self.on_processes):
            player.process = self.processes[number % processes]
            player.connect()

    def _new_id(self) -> str:
        return f"{self.random.getrandbits(64):016x}"

    def start_process(self) -> ClusterProcess:
        store = MemoryStore(self.database, lambda: self.random.uniform(0.0005, self.store_delay))

        def make_registry(context: Any, prefix: int, clock: Callable[[], float]) -> SharedRegistry:
            return SharedRegistry(self.library, clock, process=context, key_prefix=prefix)

        process = ClusterProcess(
            store, make_registry, self.loop.time, self.loop.time, Limits(), self._new_id
        )
        self.stores[process] = store
        running = process.running(lambda revoked: None)
        self.loop.run_until_complete(self._stack.enter_async_context(running))
        return process

    def kill(self, process: ClusterProcess) -> None:
        """End a process without a word to anybody; its players connect to others."""
        self.processes.remove(process)
        self.stores[process].is_cut = True
        for player in self.on_processes:
            if player.process is process:
                player.device, player.up.is_cut, player.down.is_cut = None, True, True
                player.process = self.random.choice(self.processes)
                self.after(self.random.uniform(0.1, 2.0), player.connect)

    def cut(self, *processes: ClusterProcess) -> None:
        """Cut the way of some processes to the store."""
        for each in processes:
            self.stores[each].is_cut = True

    def restore(self) -> None:
        """Restore the ways of all processes that live."""
        for each in self.processes:
            self.stores[each].is_cut = False

    @property
    def room(self) -> SharedRoom:
        """The room of one of the processes."""
        return self.processes[0].registry.room(USER)

    def after(self, delay: float, act: Callable[..., None], *args: Any) -> None:
        if not isinstance(self.clock, LoopClock):
            return  # the timers of the simulation of one process
        # In order, where two are due at once: the loop's own heap does not keep it.
        self.loop.call_later(delay + next(self._order) * 1e-10, act, *args)

    def run(self, seconds: float) -> None:
        if isinstance(self.clock, LoopClock):
            self.loop.run_until_complete(self._run(seconds))

    async def _run(self, seconds: float) -> None:
        until = self.loop.now + seconds
        while self.loop.now < until:
            await asyncio.sleep(min(1.0, until - self.loop.now))
            for process in self.processes:
                process.registry.housekeep()

    def disagreement(self, apart: float) -> str | None:
        live = [each.rooms.live[USER] for each in self.processes if USER in each.rooms.live]
        known = {(each.state.track_id, each.state.is_playing, each.state.rev) for each in live}
        if len(known) > 1:
            return f"processes have {known}"
        return super().disagreement(apart)

    def close(self) -> None:
        self.loop.run_until_complete(self._stack.aclose())
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        self.loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self.loop.close()


class SharedServerEnd(ServerEnd):
    """The end at one process, where commands wait as frames of a device do."""

    def __init__(self, player: SharedPlayer, device: Device, room: SharedRoom) -> None:
        assert player.process is not None
        super().__init__(player.simulation, device, player._ping)
        self._room = room
        self._rooms = player.process.rooms
        self._waiting = WaitingFrames(self._perform)

    def apply(self, command: Command) -> None:
        try:
            if self._waiting:
                raise RoomWaits
            super().apply(command)
        except RoomWaits:
            self._waiting.add(command, is_report=isinstance(command, Report))

    async def _perform(
        self, waiting: WaitingFrames[Command], command: Command, waited: float
    ) -> None:
        def act(room: SharedRoom) -> None:
            is_old = isinstance(command, Report) and waiting.has_report
            if self._device.ref.key in room.local_devices and not is_old:
                room.apply(command, self._device)

        with suppress(Conflict, Unavailable):
            await self._rooms.perform(USER, act, waited)
        self._delayed_reports.mark_handled()


@dataclass(eq=False)
class SharedPlayer(Player):
    """A player that is connected to ``process``."""

    process: ClusterProcess | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.up = Link(self.simulation, is_cut=True)

    def connect(self) -> None:
        """Connect, unless it has done so already: after an end of both its line and its process."""
        if self.up.is_cut:
            super().connect()

    def _open(self, held_until: float = 0.0) -> None:
        self.up = Link(self.simulation, held_until=held_until)
        self.down = Link(self.simulation, held_until=held_until)
        self._inbox: asyncio.Queue[Command | Callable[[], None]] = asyncio.Queue()
        self._serving = self._loop.create_task(self._serve(self.up, self._inbox))

    @property
    def _loop(self) -> VirtualTimeLoop:
        simulation = self.simulation
        assert isinstance(simulation, SharedSimulation)
        return simulation.loop

    def send(self, command: Command) -> None:
        if self.up.is_cut:
            return
        self.up.send(self._inbox.put_nowait, command)

    def _ping(self, answered: Callable[[], None]) -> None:
        up, inbox = self.up, self._inbox
        self.down.send(lambda: up.send(inbox.put_nowait, answered))

    async def _serve(self, up: Link, inbox: asyncio.Queue[Any]) -> None:
        assert self.process is not None
        registry, rooms = self.process.registry, self.process.rooms
        try:
            room = await rooms.room(USER)
        except Unavailable:  # the connection is closed by 1013
            self.up.is_cut = self.down.is_cut = True
            return self.simulation.after(1.0, self.connect)
        if up.is_cut:
            return
        device = self.device = registry.connect(USER, self, self.name)
        end = SharedServerEnd(self, device, room)
        while device.ref.key in room.devices:
            message = await inbox.get()
            if callable(message):
                message()
            else:
                end.arrive(message)

    def _disconnect(self, device: Device) -> None:
        assert self.process is not None
        self._loop.call_soon(self.process.registry.disconnect, USER, device)
        self._loop.call_soon(self._inbox.put_nowait, lambda: None)

"""Which devices of a user count towards the limit, and which are too many, in several processes."""

from __future__ import annotations

from audiostream.rooms import adoption
from audiostream.rooms.device_limit import FORMER_FOR, excess_devices
from audiostream.rooms.process_context import ProcessContext
from audiostream.rooms.shared_registry import SharedRegistry
from audiostream.rooms.shared_room import SharedRoom
from audiostream.storage.shared_store import Publication
from tests.support.fakes import FakeLibrary, RecordingSendQueue

NOW = 1_000_000.0
LIMIT = 3


class Process:
    """The room of one user in a process, which is told of every device of the other ones."""

    def __init__(self, name: str, silent: set[str]) -> None:
        self.name = name
        self.now = NOW
        context = ProcessContext(
            process_id=name,
            new_change_id=lambda: "unused",
            perform_later=lambda room, name, action: None,
            announce=lambda room: None,
            is_silent=lambda process_id: process_id in silent and process_id != name,
            lost_since=lambda process_id: None,
        )
        prefix = int(name[1:])
        self.registry = SharedRegistry(
            FakeLibrary(), lambda: self.now, process=context, key_prefix=prefix
        )
        self.room: SharedRoom = self.registry.room("ada")

    def excess(self, now: float = NOW) -> list[str]:
        """Return the ids of the devices that this process has to disconnect."""
        return [each.ref.device_id for each in excess_devices(self.room, LIMIT, now)]

    def count(self, device_id: str | None = None, now: float = NOW) -> int:
        self.now = now
        return self.room.count_devices(device_id)


class Processes:
    """Some processes that know all of each other's devices, but for those of ``silent`` ones."""

    def __init__(self, count: int) -> None:
        self.silent: set[str] = set()
        self.all = [Process(f"p{number}", self.silent) for number in range(count)]

    def connect(self, number: int, device_id: str, at: float) -> None:
        """Connect a device to one of them at so many seconds."""
        process = self.all[number]
        process.now = NOW + at
        process.registry.connect("ada", RecordingSendQueue(), device_id)
        changes = process.room.rows.take()
        for other in self.all:
            if other is not process:
                publication = Publication(
                    user_id="ada", process_id=process.name, change=None, devices=changes
                )
                adoption.receive(other.room, publication)

    def excess(self, now: float = NOW) -> list[list[str]]:
        return [each.excess(now) for each in self.all]


def test_devices_up_to_the_limit_stay() -> None:
    processes = Processes(2)
    for number in range(LIMIT):
        processes.connect(number % 2, f"d{number}", at=number)
    assert processes.excess() == [[], []]


def test_those_that_connected_last_are_too_many_and_each_process_names_its_own() -> None:
    processes = Processes(3)
    for number, at in enumerate((4.0, 1.0, 6.0, 2.0, 3.0, 5.0)):
        processes.connect(number % 3, f"d{number}", at=at)
    assert processes.excess() == [["d0"], [], ["d5", "d2"]]


def test_of_those_that_connected_at_the_same_moment_exactly_the_limit_stays() -> None:
    processes = Processes(3)
    for number in range(9):
        processes.connect(number % 3, f"d{number}", at=0.0)
    assert sum(map(len, processes.excess())) == 9 - LIMIT


def test_devices_of_a_process_that_may_be_dead_do_not_count() -> None:
    processes = Processes(2)
    for number in range(LIMIT):
        processes.connect(1, f"d{number}", at=number)
    processes.connect(0, "late", at=9.0)
    assert processes.excess()[0] == ["late"]
    processes.silent.add("p1")
    assert processes.all[0].excess() == []
    assert processes.all[0].count() == 1


def test_former_connections_of_devices_that_came_back_elsewhere_do_not_count_at_first() -> None:
    processes = Processes(3)
    for number in range(LIMIT):
        processes.connect(0, f"d{number}", at=number)
    for number in range(LIMIT):
        assert processes.all[1].count(f"d{number}", now=NOW + 10.0) < LIMIT
        processes.connect(1, f"d{number}", at=10.0 + number)
    assert processes.excess(NOW + 13.0) == [[], [], []]
    assert processes.excess(NOW + 14.0 + FORMER_FOR) == [[], ["d0", "d1", "d2"], []]
    assert processes.all[2].count("another", now=NOW + 13.0) == LIMIT


def test_one_former_connection_of_a_device_alone_does_not_count() -> None:
    processes = Processes(3)
    for at in range(9):
        processes.connect(at % 3, "same", at=at)
    assert sum(map(len, processes.excess(NOW + 9.0))) == 9 - LIMIT - 1


def test_a_duplicated_tab_in_the_same_process_counts_as_without_others() -> None:
    processes = Processes(1)
    for at in range(LIMIT + 1):
        processes.connect(0, "tab", at=at)
    assert processes.all[0].count("tab") == LIMIT + 1
    assert processes.excess() == [["tab"]]

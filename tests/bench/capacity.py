"""How many users a core, a box and many boxes carry: computed, not measured.

It adds what one user of some behaviour takes of each resource, over a day in which users come and
go, and finds which resource is exhausted first. The costs are measured in the same run; the box is
an assumption, written down below.

Users share nothing with each other, so a box runs one process for each core, and a proxy keeps
every user at one process; boxes add up in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

BUSY_AT_MOST = 0.7
"""The share of a core that is planned for: beyond it, waiting grows faster than work."""
DAY = (
    *(0.08, 0.05, 0.03, 0.02, 0.02, 0.04, 0.15, 0.35, 0.45, 0.40, 0.35, 0.38),
    *(0.42, 0.40, 0.38, 0.40, 0.50, 0.65, 0.80, 0.95, 1.00, 0.85, 0.50, 0.20),
)
"""The part of a behaviour's busiest hour that is there in each hour from midnight on."""
PATH_OVERHEAD = 1.06
"""Bytes on the wire by bytes of audio: TCP and IP headers, acknowledgements, HTTP fields."""


@dataclass(frozen=True, slots=True)
class Costs:
    """What was measured. Times in microseconds of one core, memory in bytes."""

    report: float
    command: float
    """Without its recipients."""
    recipient: float
    """For each device that is sent it."""
    request: float
    """A stream request, without its bytes."""
    byte: float
    at_start: float
    idle_device: float
    playing_user: float


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What one user does in the busiest hour.

    Of the ``devices`` that are connected, ``players`` play, each its own stream, for the share of
    the time that is ``listening``; only these report.
    """

    name: str
    devices: float
    players: float
    listening: float
    reports_per_second: float
    commands_per_hour: float
    kilobits: float
    request_bytes: int = 256 << 10
    from_disk: float = 0.05
    """The part of the audio that is not in the system's memory."""


@dataclass(frozen=True, slots=True)
class Box:
    """A machine. Memory in bytes, the network and the disk in bytes a second."""

    name: str
    cores: int
    memory: float
    network: float
    disk: float
    files: int
    """Open files of one process."""


@dataclass(frozen=True, slots=True)
class Need:
    """What one user takes: shares of one core, bytes a second, bytes, open files."""

    cpu: float
    network: float
    disk: float
    memory: float
    files: float


@dataclass(frozen=True, slots=True)
class Answer:
    """How many users fit, what is at its end with them, and how busy the whole day is."""

    behaviour: str
    box: str
    users: int
    limit: str
    mean_busy: float


BEHAVIOURS = (
    Behaviour("leaves a page open", 1, 0, 0.0, 0, 0, 0),
    Behaviour("listens to albums, 320 kbit/s", 1, 1, 1.0, 4, 6, 320),
    Behaviour("the same on three devices at home", 3, 3, 1.0, 4, 12, 320),
    Behaviour("skips every ten seconds", 1, 1, 1.0, 4, 360, 320),
    Behaviour("seeks in talks, 64 kbit/s", 1, 1, 1.0, 4, 120, 64, request_bytes=64 << 10),
    Behaviour("usual: two devices, one plays a third of the time", 2, 1, 0.33, 4, 10, 192),
)
CORE = Box("one core, 1 Gbit/s", 1, 2 << 30, 125e6, 500e6, 65_536)
BOX = Box("8 cores, 10 Gbit/s", 8, 32 << 30, 1.25e9, 2e9, 65_536)


def need(behaviour: Behaviour, costs: Costs) -> Need:
    """What one such user takes, on average over the busiest hour.

    A command goes to all devices of its user; a seek or a skip asks for audio anew.
    """
    playing = behaviour.listening * behaviour.players
    audio = playing * behaviour.kilobits * 1000 / 8
    commands = behaviour.commands_per_hour / 3600
    requests = audio / behaviour.request_bytes + commands * behaviour.players
    microseconds = (
        playing * behaviour.reports_per_second * costs.report
        + commands * (costs.command + behaviour.devices * costs.recipient)
        + requests * costs.request
        + audio * costs.byte
    )
    return Need(
        cpu=microseconds / 1e6,
        network=audio * PATH_OVERHEAD,
        disk=audio * behaviour.from_disk,
        memory=behaviour.devices * costs.idle_device + playing * costs.playing_user,
        files=behaviour.devices + 2 * playing,  # the stream's connection, and one beside it
    )


def carried(behaviour: Behaviour, costs: Costs, box: Box, boxes: int = 1) -> Answer:
    """How many users of one behaviour fit into so many boxes, through the busiest hour."""
    each, there = need(behaviour, costs), supply(box, costs)
    fits = {
        field.name: getattr(there, field.name) / getattr(each, field.name)
        for field in fields(Need)
        if getattr(each, field.name)
    }
    limit = min(fits, key=lambda name: fits[name])
    users = int(fits[limit])
    busy = mean_busy(users * each.cpu / box.cores)
    name = box.name if boxes == 1 else f"{boxes} boxes of {box.name}"
    return Answer(behaviour.name, name, users * boxes, _LIMITS[limit], busy)


def supply(box: Box, costs: Costs) -> Need:
    """What a box has for its users, in the same units."""
    return Need(
        cpu=box.cores * BUSY_AT_MOST,
        network=box.network * BUSY_AT_MOST,
        disk=box.disk * BUSY_AT_MOST,
        memory=box.memory * BUSY_AT_MOST - box.cores * costs.at_start,
        files=box.cores * box.files,
    )


def mean_busy(peak: float, day: Sequence[float] = DAY) -> float:
    """The mean share of a core over a day, of which ``peak`` is the share in its busiest hour."""
    return sum(peak * hour for hour in day) / len(day) / max(day)


_LIMITS = {
    "cpu": "CPU",
    "network": "network",
    "disk": "disk",
    "memory": "memory",
    "files": "open files",
}

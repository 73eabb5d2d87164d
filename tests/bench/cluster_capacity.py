"""How many users some processes on Redis carry: computed from measured costs, not measured.

Redis runs commands on one core, so that its processor time for all that a user does is the limit of
one Redis; the processes have a core each. A publication in a Redis Cluster reaches every node,
whatever node it is published on, which more nodes do not divide.
"""

from __future__ import annotations

from dataclasses import dataclass

from .capacity import BUSY_AT_MOST

COMPARED_EVERY = 5.0
"""Seconds between two comparisons of the versions of users who have devices in a process."""
STREAM_NOTED_EVERY = 5.0
"""Seconds between two notes of a stream that goes on."""


@dataclass(frozen=True, slots=True)
class ClusterCosts:
    """Microseconds of a core. Those of ``server_`` are the processes' for all devices of a user."""

    command: float
    """Redis: a change, stored and published to two processes."""
    connection: float
    """Redis: a device that connects and disconnects."""
    comparison: float
    """Redis: the version of one user."""
    exchange: float
    """Redis: streams of one user, noted and asked for."""
    process: float
    """Redis: a process for a second, whatever its users do, where there are 400."""
    publication: float
    """Redis Cluster: a publication that one node sends to another, of both nodes together."""
    server_command: float
    server_report: float
    server_connection: float


@dataclass(frozen=True, slots=True)
class Use:
    """What a user does in a second. ``devices`` are in as many processes."""

    name: str
    devices: float = 1
    reports: float = 0.0
    changes: float = 0.0
    """Commands, tracks that end, and devices that begin or end to play."""
    connections: float = 0.0
    streams: float = 0.0
    """Streams that are open, most of the time."""
    stream_starts: float = 0.0


USES = (
    Use("leaves a page open"),
    Use("listens to albums", reports=4, changes=15 / 3600, streams=1, stream_starts=15 / 3600),
    Use(
        "usual: two devices, one plays a third of the time",
        devices=2,
        reports=4 / 3,
        changes=15 / 3600,
        connections=4 / 3600,
        streams=1 / 3,
        stream_starts=10 / 3600,
    ),
    Use("clicks every ten seconds", 2, reports=4, changes=0.1, streams=1, stream_starts=0.1),
    Use("loses the connection once a minute", reports=4, connections=1 / 60, streams=1),
)


def redis_time(use: Use, costs: ClusterCosts) -> float:
    """Return the microseconds of Redis for one such user in a second."""
    exchanges = use.streams / STREAM_NOTED_EVERY + 2 * use.stream_starts
    return (
        use.changes * costs.command
        + use.connections * costs.connection
        + use.devices / COMPARED_EVERY * costs.comparison
        + exchanges * costs.exchange
    )


def operations(use: Use) -> float:
    """Return how often such a user's processes ask Redis in a second, each version by itself."""
    exchanges = use.streams / STREAM_NOTED_EVERY + 2 * use.stream_starts
    return use.changes + 3 * use.connections + use.devices / COMPARED_EVERY + exchanges


def server_time(use: Use, costs: ClusterCosts) -> float:
    """Return the microseconds of the processes for one such user in a second, but for audio."""
    return (
        use.reports * costs.server_report
        + use.changes * costs.server_command
        + use.connections * costs.server_connection
    )


def users_of_processes(use: Use, costs: ClusterCosts, processes: int, files: int = 65_536) -> int:
    """Return how many users some processes carry, whatever Redis does: a core each.

    One that has two devices has them in two processes. ``files``: open files of one process.
    """
    by_files = processes * files / use.devices
    needed = server_time(use, costs)
    return int(min(by_files, processes * BUSY_AT_MOST * 1e6 / needed) if needed else by_files)


def users_of_redis(use: Use, costs: ClusterCosts, processes: int, nodes: int = 1) -> int:
    """Return how many users the nodes carry: one Redis, or a Redis Cluster.

    Every node has its share of the operations, sends its publications to each other node, and
    receives theirs.
    """
    free = BUSY_AT_MOST * 1e6 - processes * costs.process / nodes
    share = redis_time(use, costs) / nodes
    publications = (use.changes + use.connections * 2) * costs.publication * (nodes - 1) / nodes
    return max(0, int(free / (share + publications)))

"""The costs that ``capacity`` computes with, measured here."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from statistics import median

from . import growth, memory, ranges
from .capacity import Costs
from .measure import interleaved, line
from .media import one_track

DEVICES = (1, 4, 16)


def measure(folder: Path, rounds: int) -> Costs:
    """Least-squares lines through the medians."""
    with ExitStack() as stack:
        places = {
            str(count): growth.with_devices(stack, folder, one_track(folder), count)
            for count in DEVICES
        }
        commands = interleaved({name: each.command for name, each in places.items()}, rounds)
        reports = interleaved({"1": places["1"].lone_report}, rounds)
    command, recipient = line(DEVICES, [median(each) for each in commands.values()])
    ranges_costs = ranges.costs(folder, rounds)
    request, byte = line(list(ranges_costs), list(ranges_costs.values()))
    at_start, idle, playing = memory.per_device(folder, memory.SAMPLES)
    return Costs(
        report=median(reports["1"]),
        command=command,
        recipient=recipient,
        request=request,
        byte=byte,
        at_start=at_start,
        idle_device=idle,
        playing_user=playing,
    )

"""``ServicesCollector``: the metrics of one application, read when they are asked for.

No label has a value that clients choose: no user, device, track or address.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Final, get_args

from prometheus_client import Metric
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector

from ..api.counting import EVENTS as REST_EVENTS
from ..cluster.store_health import StoreCounters
from ..ops.counters import Histogram, ReportOutcome, Transport
from ..services import Services
from ..websocket.close_reasons import CloseReason
from ..websocket.counting import EVENTS, OTHER

_DEVICES: Final[tuple[Transport, ...]] = ("websocket", "socketio")
_EVENTS: Final[Mapping[Transport, Collection[str]]] = {
    **dict.fromkeys(_DEVICES, EVENTS | {OTHER}),
    "rest": REST_EVENTS.values(),
}


class ServicesCollector(Collector):
    """Reads ``services``. For the thread of their event loop."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def collect(self) -> Iterable[Metric]:
        """Return all metrics: of the shared store, or of the state file where there is none."""
        yield from self._state()
        yield from self._traffic()
        yield _histogram(
            "audiostream_event_loop_lag_seconds",
            "How late the event loop runs what is due, measured once a second.",
            self._services.counters.loop_lag,
        )
        cluster = self._services.storage.cluster
        if cluster is not None:
            yield from _shared_store(cluster.health.counters)
        else:
            yield _histogram(
                "audiostream_state_flush_seconds",
                "How long it takes to write what has changed to the state file.",
                self._services.counters.flushes,
            )

    def _state(self) -> Iterable[Metric]:
        """Return what is there now."""
        services = self._services
        devices = Counter(each.transport for each in services.sessions if each.is_in_room)
        saver = getattr(services.storage, "saver", None)  # none before the state file is open
        yield InfoMetricFamily(
            "audiostream_build", "The release that runs.", {"version": services.version}
        )
        yield GaugeMetricFamily(
            "audiostream_degraded",
            "1 while playback cannot be saved, as healthz says, else 0.",
            float(saver is None or saver.is_degraded),
        )
        yield _by_label(
            GaugeMetricFamily,
            "audiostream_devices",
            "Devices in their users' rooms, by how they are connected.",
            "transport",
            {transport: devices[transport] for transport in _DEVICES},
        )
        yield GaugeMetricFamily(
            "audiostream_rooms",
            "Users whose playback is in memory.",
            len(services.registry.rooms),
        )
        yield GaugeMetricFamily(
            "audiostream_open_streams",
            "Audio responses that are being sent.",
            services.open_streams.total(),
        )

    def _traffic(self) -> Iterable[Metric]:
        """Return what was received and sent, and the ends of connections."""
        counters = self._services.counters
        yield self._commands()
        yield _by_label(
            CounterMetricFamily,
            "audiostream_reports",
            "Positions reported by players: absorbed (nothing to do), corrected (the player alone "
            "was sent the state), applied (the state changed) or refused (answered by an error).",
            "outcome",
            {outcome: counters.reports[outcome] for outcome in get_args(ReportOutcome)},
        )
        yield _by_label(
            CounterMetricFamily,
            "audiostream_frames_sent",
            "Events sent to devices: broadcasts, one for each recipient, and answers.",
            "transport",
            {each: counters.frames_sent[each] for each in _DEVICES},
        )
        yield _by_label(
            CounterMetricFamily,
            "audiostream_disconnects",
            "Connections of devices that ended, by the reason in the log.",
            "reason",
            {reason.word: counters.disconnects[reason.word] for reason in CloseReason},
        )
        yield CounterMetricFamily(
            "audiostream_stream_bytes",
            "Bytes of audio that were sent, headers not counted.",
            self._services.stream_slots.bytes_sent,
        )

    def _commands(self) -> Metric:
        family = CounterMetricFamily(
            "audiostream_commands",
            "Commands and questions of clients, also those that are refused, by event.",
            labels=("transport", "event"),
        )
        commands = self._services.counters.commands
        for transport, events in _EVENTS.items():
            for event in sorted(events):
                family.add_metric((transport, event), commands[transport, event])
        return family


def _shared_store(counters: StoreCounters) -> Iterable[Metric]:
    yield SummaryMetricFamily(
        "audiostream_store_round_trip_seconds",
        "Round trips to the shared store.",
        count_value=counters.round_trips,
        sum_value=counters.seconds,
    )
    yield CounterMetricFamily(
        "audiostream_commit_losses",
        "Changes applied again, as another process had changed the same playback before.",
        counters.commit_losses,
    )


def _by_label(
    family: type[CounterMetricFamily] | type[GaugeMetricFamily],
    name: str,
    help: str,
    label: str,
    values: Mapping[str, int],
) -> Metric:
    metric = family(name, help, labels=(label,))
    for value, count in values.items():
        metric.add_metric((value,), count)
    return metric


def _histogram(name: str, help: str, histogram: Histogram) -> Metric:
    buckets = [
        ("+Inf" if bound == math.inf else str(bound), count) for bound, count in histogram.buckets()
    ]
    return HistogramMetricFamily(name, help, buckets=buckets, sum_value=histogram.sum)

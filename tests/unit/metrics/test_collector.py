"""The metrics that the collector makes of an application's services."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("prometheus_client", reason="the [metrics] extra is not installed")

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from audiostream import Settings, __version__, create_app
from audiostream.metrics.collector import ServicesCollector
from audiostream.services import SERVICES, Services
from audiostream.websocket.close_reasons import CloseReason
from tests.support.fakes import RecordingSendQueue

BASE_UNITS = ("seconds", "bytes")
"""Of those that promtool knows, the ones that are in use here."""
OTHER_UNITS = ("milliseconds", "ms", "minutes", "kilobytes", "kb", "percent")


def services_of(settings: Settings, **changes: Any) -> Services:
    return create_app(replace(settings, metrics_token="token", **changes))[SERVICES]


@pytest.fixture
def services(settings: Settings) -> Services:
    return services_of(settings)


def exposed(services: Services) -> list[Metric]:
    """What a parser finds in the text."""
    registry = CollectorRegistry()
    registry.register(ServicesCollector(services))
    return list(text_string_to_metric_families(generate_latest(registry).decode()))


def values(services: Services) -> dict[str, float]:
    """The samples by their text, like ``audiostream_devices{transport="websocket"}``."""
    return {
        sample.name
        + "{"
        + ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
        + "}": sample.value
        for family in exposed(services)
        for sample in family.samples
    }


def names(services: Services) -> Iterator[str]:
    for family in exposed(services):
        yield f"{family.name}_total" if family.type == "counter" else family.name


def test_names_and_help_follow_the_rules_of_prometheus(settings: Settings) -> None:
    for family in exposed(services_of(settings, redis="redis://localhost")):
        assert re.fullmatch(r"audiostream_[a-z]+(_[a-z]+)*", family.name), family.name
        assert family.documentation.endswith("."), family.name
        words = family.name.split("_")
        assert not set(words) & set(OTHER_UNITS), family.name
        assert not set(words) & {"counter", "gauge", "histogram", "summary", "total"}, family.name
        if family.type in ("histogram", "summary"):
            assert words[-1] in BASE_UNITS, family.name
        for sample in family.samples:
            assert all(re.fullmatch("[a-z]+", label) for label in sample.labels), sample


def test_all_series_are_there_from_the_start_so_that_a_first_event_is_a_rise(
    services: Services,
) -> None:
    found = values(services)
    for reason in CloseReason:
        assert found[f'audiostream_disconnects_total{{reason="{reason.word}"}}'] == 0
    for transport in ("websocket", "socketio", "rest"):
        command = f'audiostream_commands_total{{event="playTrack",transport="{transport}"}}'
        assert found[command] == 0
    for outcome in ("absorbed", "corrected", "applied", "refused"):
        assert found[f'audiostream_reports_total{{outcome="{outcome}"}}'] == 0


def test_the_release_is_a_label(services: Services) -> None:
    assert values(services)[f'audiostream_build_info{{version="{__version__}"}}'] == 1


def test_counters_are_read_when_metrics_are_asked_for(services: Services) -> None:
    services.counters.disconnects["slow_reader"] += 2
    services.counters.commands["rest", "playTrack"] += 3
    services.counters.reports["absorbed"] += 1000
    services.counters.frames_sent["socketio"] += 4
    services.counters.loop_lag.observe(0.3)
    services.counters.flushes.observe(0.002)
    services.stream_slots.count_sent(5_000_000_000)
    services.open_streams["ada"] += 2
    services.registry.connect("ada", RecordingSendQueue(), "phone")
    found = values(services)
    assert found['audiostream_disconnects_total{reason="slow_reader"}'] == 2
    assert found['audiostream_commands_total{event="playTrack",transport="rest"}'] == 3
    assert found['audiostream_reports_total{outcome="absorbed"}'] == 1000
    assert found['audiostream_frames_sent_total{transport="socketio"}'] == 4
    assert found['audiostream_event_loop_lag_seconds_bucket{le="0.25"}'] == 0
    assert found['audiostream_event_loop_lag_seconds_bucket{le="0.5"}'] == 1
    assert found['audiostream_event_loop_lag_seconds_bucket{le="+Inf"}'] == 1
    assert found["audiostream_event_loop_lag_seconds_sum{}"] == 0.3
    assert found["audiostream_state_flush_seconds_count{}"] == 1
    assert found["audiostream_stream_bytes_total{}"] == 5_000_000_000
    assert found["audiostream_open_streams{}"] == 2
    assert found["audiostream_rooms{}"] == 1


def test_an_application_whose_state_file_is_not_open_yet_is_degraded(services: Services) -> None:
    assert values(services)["audiostream_degraded{}"] == 1


def test_the_shared_store_has_metrics_where_there_is_one(settings: Settings) -> None:
    services = services_of(settings, redis="redis://localhost")
    assert services.storage.cluster is not None
    counters = services.storage.cluster.health.counters
    counters.round_trips, counters.seconds, counters.commit_losses = 4, 0.5, 1
    found = values(services)
    assert found["audiostream_store_round_trip_seconds_count{}"] == 4
    assert found["audiostream_store_round_trip_seconds_sum{}"] == 0.5
    assert found["audiostream_commit_losses_total{}"] == 1
    assert "audiostream_state_flush_seconds" not in names(services)
    assert not [name for name in names(services_of(settings)) if "store" in name]

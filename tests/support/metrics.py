"""Reading ``/metrics`` of a server, as Prometheus does."""

from __future__ import annotations

import socket
from collections.abc import Mapping

import pytest
from aiohttp import ClientSession, UnixConnector

parser = pytest.importorskip(
    "prometheus_client.parser", reason="the [metrics] extra is not installed"
)

READER = "Prometheus"
"""The token of ``AUDIOSTREAM_METRICS_TOKEN``."""
GOOD = {"Authorization": f"Bearer {READER}"}
PERSONAL = ("ada", "phone", "Ada's phone", "song", "127.0.0.1")
"""What clients of these tests are called, play, and come from."""


class Samples:
    """What one scrape has found."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._values: dict[tuple[str, frozenset[tuple[str, str]]], float] = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in parser.text_string_to_metric_families(text)
            for sample in family.samples
        }

    def __call__(self, name: str, **labels: str) -> float:
        return self._values[f"audiostream_{name}", frozenset(labels.items())]

    def sum(self, name: str, **labels: str) -> float:
        """All series of a name that have these labels, added up."""
        given = set(labels.items())
        return sum(
            value
            for (found, having), value in self._values.items()
            if found == f"audiostream_{name}" and given <= having
        )


async def scrape(url: str, path: str | None = None, headers: Mapping[str, str] = GOOD) -> Samples:
    """Read the metrics, on a connection of their own."""
    connector = None if path is None else UnixConnector(path)
    async with (
        ClientSession(connector=connector) as session,
        session.get(f"{url}/metrics", headers=headers) as answer,
    ):
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert answer.headers["Cache-Control"] == "no-store"
        return Samples(await answer.text())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

"""Builds this process's part in a cluster from the settings."""

from __future__ import annotations

from collections.abc import Callable

from ..rooms.broadcast import Catalogue
from ..rooms.process_context import ProcessContext
from ..rooms.shared_registry import SharedRegistry
from ..settings import Settings
from ..storage.redis_store import RedisStore
from .process import ClusterProcess


def build_cluster(
    settings: Settings,
    catalogue: Catalogue,
    clock: Callable[[], float],
    wall_clock: Callable[[], float],
) -> ClusterProcess:
    """Return a process that shares ``settings.redis`` with others."""

    def make_registry(
        context: ProcessContext, key_prefix: int, shared_clock: Callable[[], float]
    ) -> SharedRegistry:
        return SharedRegistry(
            catalogue,
            shared_clock,
            settings.sync_tolerance,
            process=context,
            key_prefix=key_prefix,
            max_queue=settings.limits.max_queue,
        )

    store = RedisStore(settings.redis or "", settings.max_history)
    return ClusterProcess(store, make_registry, clock, wall_clock, settings.limits)

"""What a shared store has: versions alone."""

from __future__ import annotations

from collections.abc import Sequence

from audiostream.storage.shared_store import SharedStore


async def versions(store: SharedStore, user_ids: Sequence[str]) -> list[int]:
    """Return the stored versions of some users, without the ids of changes."""
    return [version for version, _ in await store.versions(user_ids)]

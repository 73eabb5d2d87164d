"""``Processes``: which processes are alive, by when each last renewed itself in the store."""

from __future__ import annotations

from typing import Final

from ..storage.shared_store import ProcessTimes

RENEWED_EVERY: Final = 5.0
"""Seconds between two renewals of a process."""
SILENT_AFTER: Final = 7.5
"""Seconds without a renewal after which a process may be dead: it has missed one."""
LOST_AFTER: Final = 15.0
"""Seconds without a renewal after which a process is taken to be dead: it has missed two."""


class Processes:
    """What this process knows of the others, as of the last ``update``. Times are the store's.

    While this process could not renew itself, the others may not have been able to either: the
    store was away. They have as long again from its next renewal on.
    """

    def __init__(self, process_id: str) -> None:
        self.process_id = process_id
        self._now = 0.0
        self._renewing_since = 0.0
        """When it last was renewed after it had missed a renewal; 0 where it never has."""
        self._seen_at: dict[str, float] = {}
        """When each was renewed; of one that the store does not know: when that was noticed."""

    def update(self, times: ProcessTimes) -> None:
        """Note what the store returned for a renewal."""
        if self._now and times.now - self._now > SILENT_AFTER:
            self._renewing_since = times.now
        self._now = times.now
        missing = {
            process_id: at
            for process_id, at in self._seen_at.items()
            if process_id not in times.renewed_at and times.now - at < 2 * LOST_AFTER
        }
        self._seen_at = missing | dict(times.renewed_at)

    def last_sign(self, process_id: str) -> float:
        """Return when a process was last renewed; now for one that is not known yet."""
        return self._seen_at.setdefault(process_id, self._now)

    def is_silent(self, process_id: str) -> bool:
        """Whether a process may be dead."""
        return self._silence(process_id) > SILENT_AFTER

    def is_lost(self, process_id: str) -> bool:
        """Whether a process is taken to be dead."""
        return process_id != self.process_id and self._silence(process_id) > LOST_AFTER

    def lost_since(self, process_id: str) -> float | None:
        """Return when a process that is taken to be dead was last renewed, else None."""
        return self.last_sign(process_id) if self.is_lost(process_id) else None

    def _silence(self, process_id: str) -> float:
        """Return for how many seconds a process could have renewed itself, and has not."""
        return self._now - max(self.last_sign(process_id), self._renewing_since)

"""The ids of the commands that took effect: one that is sent again must not be applied twice."""

from __future__ import annotations

MAX_COMMAND_IDS = 64
"""Of one room: a client sends a command again within seconds, after it has reconnected."""


class AppliedCommands:
    """The latest ``commandId`` values of one room; the oldest is dropped first."""

    __slots__ = ("_ids",)

    def __init__(self) -> None:
        self._ids: dict[str, None] = {}

    def add(self, command_id: str) -> None:
        """Remember that this command took effect."""
        self._ids[command_id] = None
        if len(self._ids) > MAX_COMMAND_IDS:
            del self._ids[next(iter(self._ids))]

    def __contains__(self, command_id: str) -> bool:
        return command_id in self._ids

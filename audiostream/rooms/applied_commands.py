"""The ids of the commands that took effect: one that is sent again must not be applied twice."""

from __future__ import annotations

from dataclasses import dataclass, field

MAX_COMMAND_IDS = 64
"""Of one room: a client sends a command again within seconds, after it has reconnected."""


@dataclass(eq=False, slots=True)
class AppliedCommands:
    """The latest ``commandId`` values of one room; the oldest is dropped first."""

    _ids: dict[str, None] = field(default_factory=dict)

    def add(self, command_id: str | None) -> None:
        """Remember that this command took effect; None has no id."""
        if command_id is not None:
            self._ids[command_id] = None
            if len(self._ids) > MAX_COMMAND_IDS:
                del self._ids[next(iter(self._ids))]

    def __contains__(self, command_id: str | None) -> bool:
        return command_id in self._ids

"""``AppliedCommands``: the ``commandId`` values of commands that took effect in a room."""

from __future__ import annotations

from dataclasses import dataclass

MAX_COMMAND_IDS = 64
"""``commandId`` values of commands that took effect, so that one that is sent again is not applied
twice: a client sends a command again within seconds, after it has reconnected."""


@dataclass(eq=False, slots=True)
class AppliedCommands:
    """``ids``: the last one last."""

    ids: tuple[str, ...] = ()

    def __contains__(self, command_id: str | None) -> bool:
        return command_id in self.ids

    def record(self, command_id: str | None) -> None:
        """Note that a command took effect; None where it has no id."""
        if command_id is not None:
            self.ids = (*self.ids, command_id)[-MAX_COMMAND_IDS:]

"""``ProcessContext``: what the shared rooms of one process need of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .transactional_room import TransactionalRoom


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessContext:
    """``process_id`` is this process's, ``new_change_id`` returns a unique id.

    ``perform_later`` has an action of a room performed, and again until the store answers, behind
    one of the same name. ``announce`` has a room's outbox emptied. ``is_silent`` tells whether a
    process, by its id, is late to renew itself, and may be dead; ``lost_since`` when one that is
    taken to be dead was last renewed, None for any other.
    """

    process_id: str
    new_change_id: Callable[[], str]
    perform_later: Callable[[TransactionalRoom, str, Callable[[], object]], None]
    announce: Callable[[TransactionalRoom], None]
    is_silent: Callable[[str], bool]
    lost_since: Callable[[str], float | None]

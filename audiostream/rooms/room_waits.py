"""``RoomWaits``: a room cannot act at once."""

from __future__ import annotations


class RoomWaits(Exception):
    """Raised where an action needs something that takes time; nothing has changed.

    The caller awaits ``perform`` of the loader, which provides it and does the action.
    """

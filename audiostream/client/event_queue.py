"""The events of one device until its program reads them."""

from __future__ import annotations

import asyncio
from typing import Final

from .model import Event

MAX_EVENTS: Final = 256
"""Events kept for a program that does not read them; then the oldest are dropped."""


class EventQueue:
    """Events in the order of their arrival, for any number of tasks that read them."""

    def __init__(self) -> None:
        self._events: asyncio.Queue[Event | None] = asyncio.Queue()

    def put(self, event: Event) -> None:
        if self._events.qsize() >= MAX_EVENTS:
            self._events.get_nowait()
        self._events.put_nowait(event)

    def end(self) -> None:
        """Add the end: no event follows."""
        self._events.put_nowait(None)

    async def get(self) -> Event | None:
        """Return the next event, None at the end."""
        event = await self._events.get()
        if event is None:
            self.end()  # for the other tasks
        return event

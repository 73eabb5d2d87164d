"""mpv's JSON IPC: commands with their answers, and events, over one connection.

The protocol is that of mpv's manual, "JSON IPC": one JSON object a line.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

MAX_LINE: Final = 1 << 20
"""Bytes of a line; a property of a file with many tags may be long."""

MpvEvent = Mapping[str, Any]
"""``event`` is its name; ``{"event": "disconnected"}`` is added at the end."""
DISCONNECTED: Final[MpvEvent] = {"event": "disconnected"}


class MpvError(Exception):
    """Raised for a command that mpv refused."""


class MpvGone(ConnectionError):
    """Raised for a command when mpv has ended."""


class MpvConnection:
    """A connection to mpv from ``run`` to its end. ``on_event`` is called for each event."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        on_event: Callable[[MpvEvent], None],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._on_event = on_event
        self._last_id = 0
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._is_over = False

    async def run(self) -> None:
        """Read until mpv closes the connection."""
        try:
            while line := await self._reader.readline():
                self._receive(line)
        except (OSError, ValueError):  # ValueError: a line longer than MAX_LINE
            pass
        finally:
            self._is_over = True
            for answer in self._answers.values():
                if not answer.done():
                    answer.set_exception(MpvGone("mpv has ended"))
            self._on_event(DISCONNECTED)

    async def command(self, name: str, *arguments: Any) -> Any:
        """Return the ``data`` of the answer. Raises ``MpvError`` and ``MpvGone``."""
        return await self._exchange([name, *arguments])

    async def call(self, name: str, **arguments: Any) -> Any:
        """The same with arguments by name, which are alike in all versions of mpv."""
        return await self._exchange({"name": name, **arguments})

    async def get(self, name: str) -> Any:
        """Return a property, None while there is none."""
        try:
            return await self.command("get_property", name)
        except MpvError:
            return None

    async def set(self, name: str, value: Any) -> None:
        """Set a property."""
        await self.command("set_property", name, value)

    async def observe(self, *names: str) -> None:
        """Ask for ``property-change`` events, also one with the value of now for each property."""
        for number, name in enumerate(names, 1):
            await self.command("observe_property", number, name)

    async def _exchange(self, command: Any) -> Any:
        if self._is_over:
            raise MpvGone("mpv has ended")
        self._last_id += 1
        answer = self._answers[request_id := self._last_id] = asyncio.Future[Any]()
        try:
            line = json.dumps({"command": command, "request_id": request_id})
            self._writer.write(line.encode() + b"\n")
            return await answer
        finally:
            del self._answers[request_id]

    def _receive(self, line: bytes) -> None:
        try:
            message = json.loads(line)
        except ValueError:  # a file's tags may hold bytes that are not UTF-8
            return
        if not isinstance(message, dict):
            return
        if "event" in message:
            self._on_event(message)
            return
        answer = self._answers.get(message.get("request_id", 0))
        if answer is None or answer.done():
            return
        if message.get("error") == "success":
            answer.set_result(message.get("data"))
        else:
            answer.set_exception(MpvError(str(message.get("error"))))

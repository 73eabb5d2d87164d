"""An mpv that makes no sound: its JSON IPC, and a clock that a test turns."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from audiostream.client.mpv_ipc import MpvConnection, MpvEvent
from tests.support.fakes import FakeClock


@dataclass
class Entry:
    """A file of the playlist."""

    id: int
    url: str
    position: float = 0.0


@dataclass
class FakeMpv:
    """What the player's IPC does to one mpv, which plays while ``advance`` turns the clock.

    ``durations`` are by URL, and those of ``broken`` fail. ``commands`` are all but queries.
    """

    clock: FakeClock
    durations: dict[str, float] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    commands: list[Any] = field(default_factory=list)
    playlist: list[Entry] = field(default_factory=list)
    properties: dict[str, Any] = field(
        default_factory=lambda: {"pause": False, "speed": 1.0, "volume": 100.0, "mute": False}
    )
    starts: int = 0
    _observed: dict[str, int] = field(default_factory=dict)
    _last_id: int = 0
    _writer: asyncio.StreamWriter | None = None

    @asynccontextmanager
    async def start(self, on_event: Callable[[MpvEvent], None]) -> AsyncIterator[MpvConnection]:
        """What ``MpvSupervisor`` starts: a connection to this mpv, which has nothing loaded."""
        self.starts += 1
        self.playlist, self._observed = [], {}
        ours, theirs = socket.socketpair()
        reader, self._writer = await asyncio.open_unix_connection(sock=theirs)
        connection = MpvConnection(*await asyncio.open_unix_connection(sock=ours), on_event)
        tasks = [asyncio.create_task(connection.run()), asyncio.create_task(self._serve(reader))]
        try:
            yield connection
        finally:
            self.kill()
            connection._writer.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def playing(self) -> Entry | None:
        """The current file."""
        return self.playlist[0] if self.playlist else None

    @property
    def urls(self) -> list[str]:
        """The current file and what follows it."""
        return [each.url for each in self.playlist]

    def kill(self) -> None:
        """End without a word."""
        if self._writer is not None:
            self._writer.close()

    def advance(self, seconds: float) -> None:
        """Turn the clock; what plays goes on, at most into the next file."""
        self.clock.advance(seconds)
        entry = self.playing
        if entry is None or self.properties["pause"]:
            return
        entry.position += seconds * self.properties["speed"]
        duration = self.durations.get(entry.url, 60.0)
        if entry.position >= duration:
            self.playlist.pop(0)
            self._end(entry, "eof")
            self._begin(entry.position - duration)

    def break_off(self) -> None:
        """End the stream of the current file, as a server does that goes away."""
        self._end(self.playlist.pop(0), "eof")
        self._begin()

    def end(self) -> None:
        """End the current file; ``begin_next`` starts the next one."""
        entry = self.playlist.pop(0)
        self.clock.advance(60.0 - entry.position)
        self._end(entry, "eof")

    def begin_next(self) -> None:
        self._begin()

    def user_sets(self, name: str, value: Any) -> None:
        """Change a property by mpv's own controls."""
        self.properties[name] = value
        self._send_property(name)

    def send(self, message: Any) -> None:
        assert self._writer is not None
        self._writer.write(json.dumps(message).encode() + b"\n")

    async def _serve(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            message = json.loads(line)
            command = message["command"]
            name, *arguments = command if isinstance(command, list) else [command["name"]]
            if name not in ("get_property", "observe_property"):
                self.commands.append(command)
            answer = self._answer(name, arguments, command)
            self.send({"request_id": message["request_id"], "error": "success", **answer})
            if name == "loadfile" and self._starts(command["flags"]):
                self._begin()

    def _answer(self, name: str, arguments: list[Any], command: Any) -> dict[str, Any]:
        entry = self.playing
        match name:
            case "loadfile":
                return {"data": {"playlist_entry_id": self._add(command)}}
            case "stop":
                self.playlist.clear()
            case "playlist-clear":
                del self.playlist[1:]
            case "seek" if entry is not None:
                entry.position = arguments[0]
                self.send({"event": "seek"})
                self.send({"event": "playback-restart"})
            case "observe_property":
                self._observed[arguments[1]] = arguments[0]
                self._send_property(arguments[1])
            case "set_property":
                self.properties[arguments[0]] = arguments[1]
                self._send_property(arguments[0])
            case "get_property" if (value := self._get(arguments[0])) is not None:
                return {"data": value}
            case _:
                return {"error": "property unavailable"}
        return {}

    def _get(self, name: str) -> Any:
        entry = self.playing
        if name == "time-pos":
            return None if entry is None else entry.position
        if name == "duration":
            return None if entry is None else self.durations.get(entry.url, 60.0)
        return self.properties.get(name)

    def _add(self, command: dict[str, Any]) -> int:
        self._last_id += 1
        if command["flags"] == "replace":
            self.playlist.clear()
        start = float(command.get("options", {}).get("start", 0.0))
        self.playlist.append(Entry(self._last_id, command["url"], start))
        return self._last_id

    def _starts(self, flags: str) -> bool:
        """Whether a file that was added is played: "append" alone starts nothing."""
        return flags == "replace" or (flags == "append-play" and len(self.playlist) == 1)

    def _begin(self, position: float = 0.0) -> None:
        """Start the first file that can be played."""
        while (entry := self.playing) is not None:
            self.send({"event": "start-file", "playlist_entry_id": entry.id})
            if entry.url not in self.broken:
                entry.position += position
                self.send({"event": "file-loaded"})
                self.send({"event": "playback-restart"})
                return
            self.playlist.pop(0)
            self._end(entry, "error", file_error="unrecognized file format")
        self.send({"event": "idle"})

    def _end(self, entry: Entry, reason: str, **more: str) -> None:
        self.send({"event": "end-file", "reason": reason, "playlist_entry_id": entry.id, **more})

    def _send_property(self, name: str) -> None:
        if name in self._observed:
            self.send(
                {
                    "event": "property-change",
                    "id": self._observed[name],
                    "name": name,
                    "data": self._get(name),
                }
            )

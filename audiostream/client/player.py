"""One device of a user: commands that take effect once, and the events of the room.

It makes no sound; a program plays ``Track.stream_url`` with what it likes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from aiohttp import ClientError, ClientSession

from . import wire
from .command_sender import send_command, send_query
from .connection import UNSOLICITED, Connection, Token
from .event_queue import EventQueue
from .model import (
    Device,
    Event,
    Queue,
    QueuePlace,
    Repeat,
    Report,
    ServerInfo,
    Sounds,
    State,
    Track,
)
from .tracks import TrackRequests
from .wire import Address, Frame


class Player:
    """One device. ``async for event in player`` gets all broadcasts, those of its own commands too.

    A command that finds no connection, or loses it, is sent at the next one, until its timeout,
    unless the playback was changed meanwhile: then it raises ``Conflict``. It takes effect once,
    also where its first copy arrives late. A command that raised ``TimeoutError`` may have taken
    effect. A command makes this device the active one; ``play``, ``pause``, ``next`` and
    ``previous`` rather the connected ``device_id``, for a remote that makes no sound. Besides that,
    commands raise ``Unauthorized`` once the token was refused, which ends the player,
    ``ConnectionError`` after its end, and ``TrackNotFound``, ``DeviceNotFound``, ``Conflict``,
    ``RateLimited``, ``InvalidMessage``, ``StoreError`` as the server answers.

    ``device_id`` is as the server has cleaned it, once connected. ``last`` is the last state
    received, ``server`` what ``authenticated`` said: None before. ``track`` and ``next_track`` are
    the current track and the one that starts at its end, as far as they were received: None if
    there is none, or if it came without its details. ``on_connect`` may be set: it is called at
    each connection and returns where this device's player is, if it plays, so that neither an
    outage nor a restart of the server pauses it.
    """

    def __init__(
        self,
        address: Address,
        token: Token,
        labels: Mapping[str, str],
        session: ClientSession,
        timeout: float,
        sounds: Sounds,
    ) -> None:
        self.last: State | None = None
        self.server: ServerInfo | None = None
        self.track: Track | None = None
        self.next_track: Track | None = None
        self.device_id = labels["deviceId"]
        self.on_connect: Callable[[], Report | None] = lambda: None
        self._address = address
        self._sounds = sounds
        self._connection = Connection(
            address, token, labels, session, timeout, self._on_frame, lambda: self.on_connect()
        )
        self._requests = TrackRequests(session, self._connection, address, timeout)
        self._events = EventQueue()

    async def run(self) -> None:
        """Stay connected; ``connect`` runs this."""
        try:
            await self._connection.run()
        finally:
            self._connection.end(None)
            self._events.end()

    @property
    def is_connected(self) -> bool:
        return self._connection.ws is not None

    @property
    def position(self) -> float:
        """Seconds into the track now, extrapolated from the last state; 0 before it."""
        return 0.0 if self.last is None else self.last.position_at(time.monotonic())

    @property
    def sounds_here(self) -> bool:
        """Whether this device is the one to sound: the active one, or any while none is active.

        Always with ``sounds="always"``.
        """
        if self._sounds == "always":
            return True
        return self.last is not None and self.last.device_id in (None, self.device_id)

    async def play(
        self,
        track_id: str,
        position: float | None = None,
        *,
        resume: bool = False,
        queue: Sequence[str] | None = None,
        queue_index: int | None = None,
        device_id: str | None = None,
        if_rev: int | None = None,
    ) -> State:
        """Play. Without ``position`` (seconds) the current track continues where it is; another
        starts at 0, or with ``resume`` at its last stop point.

        ``queue`` replaces the queue and has ``track_id`` at ``queue_index``, None: at its first
        place. Without it the queue goes on from ``track_id`` if it has that, and else is emptied.
        With ``if_rev`` only if the state has that rev.
        """
        data = {
            "trackId": track_id,
            "currentTime": position,
            "resume": resume,
            "queue": None if queue is None else list(queue),
            "queueIndex": queue_index,
            "deviceId": device_id,
            "ifRev": if_rev,
        }
        return await self._command("playTrack", data)

    async def pause(
        self,
        track_id: str | None = None,
        position: float | None = None,
        *,
        device_id: str | None = None,
    ) -> State:
        """Pause the current track, or ``track_id`` if that is the current one, else ``Conflict``.

        If nothing was ever played there is nothing to pause, and the state is returned.
        """
        if track_id is None:
            state = await self.state()
            if state.track_id is None:
                return state
            track_id = state.track_id
        data = {"trackId": track_id, "currentTime": position, "deviceId": device_id}
        return await self._command("pauseTrack", data)

    async def next(self, *, device_id: str | None = None, if_rev: int | None = None) -> State:
        """Play the next track of the queue; at its end without ``repeat`` the playback pauses.

        With ``if_rev`` only if the state has that rev. Raises ``Conflict`` where there is neither a
        track nor a queue.
        """
        return await self._command("nextTrack", {"deviceId": device_id, "ifRev": if_rev})

    async def previous(self, *, device_id: str | None = None) -> State:
        """Play the current track from its start; within its first 3 s the one before it."""
        return await self._command("previousTrack", {"deviceId": device_id})

    async def queue(self) -> Queue:
        """Return the queue as it is now."""
        return wire.parse_queue((await self._query("getQueue", {}))["data"], self._address)

    async def set_queue(self, track_ids: Sequence[str], queue_index: int | None = None) -> Queue:
        """Replace the queue; what plays goes on. An empty one clears it.

        The current track is looked for from ``queue_index`` on, then from the start.
        """
        data = {"trackIds": list(track_ids), "queueIndex": queue_index}
        return await self._queue_command("setQueue", data)

    async def set_repeat(self, repeat: Repeat) -> Queue:
        """Set what follows the end of a track, and of the queue."""
        return await self._queue_command("setRepeat", {"repeat": repeat})

    async def shuffle(self) -> Queue:
        """Shuffle what follows the current track, once, so that all devices see one order."""
        return await self._queue_command("shuffleQueue", {})

    async def devices(self) -> list[Device]:
        """Return all connected devices of this user."""
        return wire.parse_devices((await self._query("getDevices", {}))["data"])

    async def transfer(self, device_id: str, play: bool | None = None) -> State:
        """Make a connected device the active one; ``play``: None goes on as it is.

        Raises ``DeviceNotFound``.
        """
        return await self._command("transferPlayback", {"deviceId": device_id, "play": play})

    async def set_volume(
        self,
        volume: float | None = None,
        muted: bool | None = None,
        device_id: str | None = None,
    ) -> None:
        """Ask a device, None: the active one, to set its ``volume`` from 0 to 1, or to mute.

        It reports what it made of that. Raises ``DeviceNotFound``.
        """
        data = {"deviceId": device_id, "volume": volume, "muted": muted}
        await self._query("setVolume", _given(data))

    async def update_device(
        self,
        *,
        device_name: str | None = None,
        volume: float | None = None,
        muted: bool | None = None,
    ) -> list[Device]:
        """Name this device, or report its volume from 0 to 1; return all devices."""
        data = {"deviceName": device_name, "volume": volume, "muted": muted}
        return wire.parse_devices((await self._query("deviceUpdate", _given(data)))["data"])

    async def report(
        self,
        track_id: str,
        position: float,
        *,
        is_playing: bool,
        playback_rate: float = 1.0,
        duration: float | None = None,
        ended: bool = False,
        volume: float | None = None,
        muted: bool | None = None,
        if_rev: int | None = None,
    ) -> State | None:
        """Report this player's position in seconds; return the state after it.

        ``duration`` in seconds, where the player knows it for certain: it replaces the listed one.
        ``ended`` with ``is_playing=False``: the track is over, and the server plays the next one.
        ``volume`` from 0 to 1. With ``if_rev`` only if the state has that rev, else ``Conflict``.
        Returns None, and sends nothing, while there is no connection: a late report is wrong.
        """
        report = Report(
            track_id, position, is_playing, playback_rate, duration, ended, volume, muted, if_rev
        )
        data = wire.report_data(report)
        self._connection.check()
        with suppress(ConnectionError, ClientError):
            async with self._connection.time_limit():
                answer = await self._connection.exchange("updateStreaming", data)
                return wire.parse_state(answer["data"])
        return None

    async def state(self) -> State:
        """Return the playback as it is now."""
        return wire.parse_state((await self._query("getCurrentState", {}))["data"])

    async def tracks(self, q: str | None = None) -> list[Track]:
        """Return all tracks that this user may play, or those that match ``q``.

        Not tried again: raises ``aiohttp.ClientError`` if the server cannot be reached.
        """
        return await self._requests.list(q)

    async def find_track(self, track_id: str) -> Track:
        """Return a track with a fresh ticket in its ``stream_url``. Raises as ``tracks`` does."""
        return await self._requests.find(track_id)

    def __aiter__(self) -> Player:
        return self

    async def __anext__(self) -> Event:
        if (event := await self._events.get()) is not None:
            return event
        if self._connection.failure is not None:
            raise self._connection.failure
        raise StopAsyncIteration

    async def _query(self, event: str, data: Mapping[str, Any]) -> Frame:
        return await send_query(self._connection, event, data)

    async def _command(self, event: str, data: Mapping[str, Any]) -> State:
        answer = await send_command(self._connection, event, _given(data), self.last)
        return wire.parse_state(answer["data"])

    async def _queue_command(self, event: str, data: Mapping[str, Any]) -> Queue:
        answer = await send_command(self._connection, event, _given(data), self.last)
        if answer["event"] != "queueUpdated":  # it was sent again, and is answered with the state
            return await self.queue()
        return wire.parse_queue(answer["data"], self._address)

    def _on_frame(self, frame: Frame) -> None:
        """Keep what a frame tells, queue the event of a broadcast. Raises ``InvalidMessage``."""
        name, data, frame_id = frame["event"], frame["data"], frame.get("id")
        if name == "authenticated":
            self.server = wire.parse_server(data)
            self.device_id = wire.parse_device_id(data) or self.device_id
        elif name in ("queueUpdated", "queue"):
            self._on_queue(wire.parse_queue(data, self._address), name == "queueUpdated")
        elif name == "volume" and frame_id is None:
            if self.last is not None:
                self._events.put(Event("volume", self.last, volume=wire.parse_volume(data)))
        elif (event := wire.parse_event(frame, self._address)) is not None:
            self._on_state(event)
            if name != "trackState" or frame_id == UNSOLICITED:
                self._events.put(event)

    def _on_state(self, event: Event) -> None:
        if event.name in ("trackPlaying", "trackState"):
            self.track, self.next_track = event.track, event.next_track
        elif self.track is not None and self.track.id != event.state.track_id:
            self.track = self.next_track = None
        self.last = event.state

    def _on_queue(self, queue: Queue, is_broadcast: bool) -> None:
        self.next_track = queue.next_track
        if self.last is None:  # the state, which is asked for at each connection, is about to come
            return
        place = QueuePlace(queue.index, len(queue.track_ids), queue.repeat)
        self.last = replace(self.last, rev=queue.rev, updated_at=queue.updated_at, queue=place)
        if is_broadcast:
            self._events.put(
                Event("queueUpdated", self.last, next_track=queue.next_track, queue=queue)
            )


def _given(data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if value is not None}

"""One device of a user: commands that take effect once, and the events of the room.

It makes no sound; a program plays ``Track.stream_url`` with what it likes.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, Final

from aiohttp import ClientError, ClientSession, ClientTimeout

from ..errors import Conflict, InvalidMessage
from .connection import Connection, Token
from .model import Event, State, Track
from .wire import Address, parse_error, parse_state, parse_track

MAX_EVENTS: Final = 256
"""Events kept for a program that does not read them; then the oldest are dropped."""
PROMPT: Final = 2.0
"""Seconds within which a refusal comes to a command that was not held up on its way."""


@asynccontextmanager
async def connect(
    url: str,
    token: Token,
    *,
    device_id: str | None = None,
    device_name: str | None = None,
    session: ClientSession | None = None,
    timeout: float = 10.0,  # noqa: ASYNC109 - of every single command, not of this call
) -> AsyncIterator[Player]:
    """Connect a device to ``http(s)://host[:port][/prefix]`` until the block ends.

    Does not wait for the server: it may come up later, go away, and come back; it is tried again
    after up to 0.5 s, then 1 s, 2 s, at most 30 s. ``timeout`` is what a command may take in
    seconds, all tries together. A ``token`` function is called for each connection and before the
    last token expires. A ``session`` is left open. Raises ``ValueError`` for a bad URL.
    """
    address = Address.parse(url)
    async with AsyncExitStack() as stack:
        if session is None:
            session = await stack.enter_async_context(ClientSession())
        labels = {"deviceId": device_id or secrets.token_hex(8)}
        if device_name is not None:
            labels["deviceName"] = device_name
        player = Player(address, token, labels, session, timeout)
        running = asyncio.create_task(player.run())
        try:
            yield player
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


class Player:
    """One device. ``async for event in player`` gets all broadcasts, those of its own commands too.

    A command that finds no connection, or loses it, is sent at the next one, until its timeout,
    unless the playback was changed meanwhile: then it raises ``Conflict``. It takes effect once,
    also where its first copy arrives late. A command that raised ``TimeoutError`` may have taken
    effect. Besides that, commands raise ``Unauthorized`` once the token was refused, which ends the
    player, ``ConnectionError`` after its end, and ``TrackNotFound``, ``Conflict``, ``RateLimited``,
    ``InvalidMessage`` as the server answers. ``last`` is the last state received, None before.
    """

    def __init__(
        self,
        address: Address,
        token: Token,
        labels: Mapping[str, str],
        session: ClientSession,
        timeout: float,
    ) -> None:
        self.last: State | None = None
        self._address = address
        self._session = session
        self._timeout = timeout
        self._connection = Connection(address, token, labels, session, timeout, self._on_event)
        self._events: asyncio.Queue[Event | None] = asyncio.Queue()

    async def run(self) -> None:
        """Stay connected; ``connect`` runs this."""
        try:
            await self._connection.run()
        finally:
            self._connection.end(None)
            self._events.put_nowait(None)

    @property
    def is_connected(self) -> bool:
        return self._connection.ws is not None

    @property
    def position(self) -> float:
        """Seconds into the track now, extrapolated from the last state; 0 before it."""
        return 0.0 if self.last is None else self.last.position_at(time.monotonic())

    async def play(
        self, track_id: str, position: float | None = None, *, resume: bool = False
    ) -> State:
        """Play. Without ``position`` (seconds) the current track continues where it is; another
        starts at 0, or with ``resume`` at its last stop point.
        """
        data = {"trackId": track_id, "currentTime": position, "resume": resume}
        return await self._command("playTrack", {**data, "commandId": secrets.token_hex(8)})

    async def pause(self, track_id: str | None = None, position: float | None = None) -> State:
        """Pause the current track, or ``track_id`` if that is the current one, else ``Conflict``.

        If nothing was ever played there is nothing to pause, and the state is returned.
        """
        if track_id is None:
            state = await self.state()
            if state.track_id is None:
                return state
            track_id = state.track_id
        data = {"trackId": track_id, "currentTime": position}
        return await self._command("pauseTrack", {**data, "commandId": secrets.token_hex(8)})

    async def report(
        self,
        track_id: str,
        position: float,
        *,
        is_playing: bool,
        playback_rate: float = 1.0,
        duration: float | None = None,
    ) -> State | None:
        """Report this player's position in seconds; return the state after it.

        ``duration`` in seconds, where the player knows it for certain: it replaces the listed one.
        Returns None, and sends nothing, while there is no connection: a late report is wrong.
        """
        data = {
            "trackId": track_id,
            "currentTime": position,
            "isPlaying": is_playing,
            "playbackRate": playback_rate,
            "duration": duration,
        }
        self._connection.check()
        with suppress(ConnectionError, ClientError):
            async with self._connection.time_limit():
                return await self._exchange("updateStreaming", data)
        return None

    async def state(self) -> State:
        """Return the playback as it is now."""
        return await self._command("getCurrentState", {})

    async def tracks(self, q: str | None = None) -> list[Track]:
        """Return all tracks that this user may play, or those that match ``q``.

        Not tried again: raises ``aiohttp.ClientError`` if the server cannot be reached.
        """
        self._connection.check()
        headers = {"Authorization": f"Bearer {await self._connection.fresh_token()}"}
        async with self._session.get(
            f"{self._address.base}/api/tracks",
            params={} if q is None else {"q": q},
            headers=headers,
            timeout=ClientTimeout(self._timeout),
        ) as response:
            try:
                content = json.loads(await response.text())
                found = content["tracks"] if response.ok else content["error"]
            except (ValueError, KeyError, TypeError):
                raise InvalidMessage("the server sent what is not a list of tracks") from None
        if not response.ok:
            raise parse_error(found)
        return [parse_track(each, self._address) for each in found]

    def __aiter__(self) -> Player:
        return self

    async def __anext__(self) -> Event:
        event = await self._events.get()
        if event is not None:
            return event
        self._events.put_nowait(None)  # for other tasks that iterate
        if self._connection.failure is not None:
            raise self._connection.failure
        raise StopAsyncIteration

    def _on_event(self, event: Event, is_broadcast: bool) -> None:
        self.last = event.state
        if is_broadcast:
            if self._events.qsize() >= MAX_EVENTS:
                self._events.get_nowait()
            self._events.put_nowait(event)

    async def _exchange(self, event: str, data: Mapping[str, Any]) -> State:
        return parse_state((await self._connection.exchange(event, data))["data"])

    async def _command(self, event: str, data: Mapping[str, Any]) -> State:
        connection = self._connection
        known, ws, was_sent = self.last, connection.ws, False
        async with connection.time_limit():
            while True:
                await connection.ready.wait()
                connection.check()
                try:
                    if event == "getCurrentState" or known is None:
                        was_sent = True
                        return await self._exchange(event, data)
                    if connection.ws is ws:
                        was_sent = True
                        return await self._send_guarded(event, data, known)
                    found = (await connection.exchange("getCurrentState", {}))["data"]
                    state = parse_state(found)
                    if was_sent and _is_outcome(state, known, event, data):
                        return state
                    if not _is_unchanged(state, known):
                        raise Conflict(
                            "the playback was changed while there was no connection", found
                        )
                    known, was_sent = state, True
                    return await self._exchange(event, {**data, "ifRev": state.rev})
                except (ConnectionError, ClientError) as error:
                    connection.check()
                    connection.trouble = str(error)

    async def _send_guarded(self, event: str, data: Mapping[str, Any], known: State) -> State:
        """Send a command with ``ifRev``, so that it undoes nothing if it arrives late.

        A refusal within PROMPT seconds was not late: another device was faster, and it is sent
        again without the guard.
        """
        began = time.monotonic()
        try:
            return await self._exchange(event, {**data, "ifRev": known.rev})
        except Conflict:
            if time.monotonic() - began > PROMPT:
                raise
            return await self._exchange(event, data)


def _is_unchanged(state: State, known: State) -> bool:
    """Return whether the playback was not changed since it was ``known``.

    A restarted server gives a restored state a new rev, and one that keeps nothing has none.
    """
    is_same = state.rev == known.rev or state.updated_at == known.updated_at
    return state.track_id is None or is_same


def _is_outcome(state: State, known: State, event: str, data: Mapping[str, Any]) -> bool:
    """Return whether a command whose answer was lost has made exactly this state."""
    return (
        state.rev == known.rev + 1
        and state.track_id == data["trackId"]
        and state.is_playing == (event == "playTrack")
    )

"""A client for kiosks and scripts: one device of a user, which stays connected.

Here: the socket with its reconnection, commands and their answers, events as dataclasses, and
the list of tracks. Not here: sound; a program plays ``Track.stream_url`` with what it likes.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import random
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from aiohttp import (
    ClientError,
    ClientSession,
    ClientTimeout,
    ClientWebSocketResponse,
    ClientWSTimeout,
    WSMsgType,
    WSServerHandshakeError,
)

from ..errors import (
    AudiostreamError,
    Conflict,
    InvalidMessage,
    RateLimited,
    TrackNotFound,
    Unauthorized,
    UnknownEvent,
)

Token = str | Callable[[], str | Awaitable[str]]
"""A token, or what gives a fresh one; a plain function must not block."""

HEARTBEAT = 5.0
"""Seconds of silence before a ping; a line that does not answer for half of it is given up.

It costs some 100 bytes with their headers each time. More than 5 s aiohttp rounds up to whole
seconds.
"""
FIRST_DELAY, LONGEST_DELAY = 0.5, 30.0
"""Seconds: the bounds of what is waited before the next try, before jitter."""
FRESH = 2.0
"""Seconds in which a command that is refused was not held up on its way."""
STEADY = 10.0
"""Seconds that a connection must last for the next one to be tried soon."""
MAX_EVENTS = 256
"""Events kept for a program that does not read them; then the oldest are dropped."""
OTHER_USER = 4403
UNASKED = 0
"""The id of frames whose answers nobody waits for."""

_ERRORS = {
    each.code: each for each in (InvalidMessage, RateLimited, TrackNotFound, Unauthorized)
} | {UnknownEvent.code: UnknownEvent}
_LOST = (ClientError, OSError)
"""What is answered with another try; ``TimeoutError`` is an ``OSError``."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class State:
    """A user's playback. Positions and durations in seconds, moments in epoch milliseconds.

    ``position`` holds at ``server_time``; ``track_id`` is None if nothing was played yet.
    """

    track_id: str | None
    position: float
    duration: float | None
    is_playing: bool
    playback_rate: float
    rev: int
    device_id: str | None
    updated_at: int
    server_time: int
    received: float = field(default_factory=time.monotonic, compare=False, repr=False)

    def position_at(self, moment: float) -> float:
        """Seconds into the track at ``moment`` of ``time.monotonic``, if nothing happens."""
        if not self.is_playing:
            return self.position
        position = self.position + (moment - self.received) * self.playback_rate
        return position if self.duration is None else min(position, self.duration)


@dataclass(frozen=True, slots=True)
class Track:
    """A track of the library. ``duration`` in seconds; ``stream_url`` is whole and ticketed."""

    id: str
    title: str
    stream_url: str
    artist: str | None = None
    album: str | None = None
    duration: float | None = None
    owner_id: str | None = None
    album_artist: str | None = None
    disc: int | None = None
    track_number: int | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """Something that was told: ``trackPlaying``, ``trackPaused``, ``trackUpdated``, or, after
    each connection, ``trackState``. ``track`` comes with the first and the last.
    """

    name: str
    state: State
    track: Track | None = None


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is: ``http://host[:port][/prefix]``, without a final slash."""

    base: str

    @classmethod
    def parse(cls, url: str) -> Address:
        """Raises ``ValueError`` that says what is wrong."""
        parts = urlsplit(url)
        scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
        if scheme not in ("http", "https"):
            raise ValueError(f"{url!r} must begin with http://, https://, ws:// or wss://")
        if not parts.hostname:
            raise ValueError(f"{url!r} names no host")
        if parts.username is not None or parts.query or parts.fragment:
            raise ValueError(f"{url!r} must have no user, query or fragment")
        try:
            _ = parts.port
        except ValueError:
            raise ValueError(f"{url!r} has a port that is none") from None
        return cls(f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}")

    def absolute(self, path: str) -> str:
        """The address of a path that the server gave, which has the prefix in it already."""
        parts = urlsplit(self.base)
        return f"{parts.scheme}://{parts.netloc}{path}"


Frame = Mapping[str, Any]


def parse_frame(text: str) -> Frame:
    """A frame of the server: ``event``, ``data``, perhaps ``id``. Raises ``InvalidMessage``."""
    try:
        frame = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidMessage("the server sent what is not JSON") from None
    if not isinstance(frame, dict) or not isinstance(frame.get("event"), str):
        raise InvalidMessage("the server sent a frame without an event")
    if not isinstance(frame.setdefault("data", {}), dict):
        raise InvalidMessage("the server sent a frame whose data is no object")
    return frame


def parse_state(data: Mapping[str, Any]) -> State:
    """A state as the protocol writes it. Raises ``InvalidMessage``."""
    try:
        duration = data.get("duration")
        return State(
            track_id=data["trackId"],
            position=float(data["currentTime"]),
            duration=None if duration is None else float(duration),
            is_playing=bool(data["isPlaying"]),
            playback_rate=float(data["playbackRate"]),
            rev=int(data["rev"]),
            device_id=data["deviceId"],
            updated_at=int(data["updatedAt"]),
            server_time=int(data["serverTime"]),
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        raise InvalidMessage("the server sent what is not a state") from None


def parse_track(data: Any, address: Address) -> Track:
    """A track as the protocol writes it. Raises ``InvalidMessage``."""
    try:
        return Track(
            id=data["id"],
            title=data["title"],
            stream_url=address.absolute(data["streamUrl"]),
            artist=data.get("artist"),
            album=data.get("album"),
            duration=data.get("duration"),
            owner_id=data.get("ownerId"),
            album_artist=data.get("albumArtist"),
            disc=data.get("disc"),
            track_number=data.get("trackNumber"),
        )
    except (AttributeError, KeyError, TypeError):
        raise InvalidMessage("the server sent what is not a track") from None


def parse_event(frame: Frame, address: Address) -> Event | None:
    """What a frame tells of the playback, None for others. Raises ``InvalidMessage``."""
    if frame["event"] not in ("trackPlaying", "trackPaused", "trackUpdated", "trackState"):
        return None
    track = frame["data"].get("track")
    return Event(
        frame["event"],
        parse_state(frame["data"]),
        None if track is None else parse_track(track, address),
    )


def parse_error(data: Mapping[str, Any]) -> AudiostreamError:
    """The exception that an ``error`` is about, by its code; the base class for others."""
    code, message = data.get("code"), str(data.get("message"))
    state = data.get("state")
    if code == Conflict.code:
        return Conflict(message, state if isinstance(state, dict) else {})
    return _ERRORS.get(str(code), AudiostreamError)(message)


def _is_untouched(state: State, known: State) -> bool:
    """Whether nobody has changed the playback since it was ``known``.

    A restart of the server makes a new rev of the state that it restores, and a server that keeps
    nothing has none to restore.
    """
    is_same = state.rev == known.rev or state.updated_at == known.updated_at
    return state.track_id is None or is_same


def _is_outcome(state: State, known: State, event: str, data: Mapping[str, Any]) -> bool:
    """Whether the playback is as a command wants it whose answer was lost, and changed once."""
    return (
        state.rev == known.rev + 1
        and state.track_id == data["trackId"]
        and state.is_playing == (event == "playTrack")
    )


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
    """A device at the server ``http(s)://host[:port][/prefix]``, from now until the block ends.

    Does not wait for the server: it may come up later, go away, and come back; it is tried again
    after up to 0.5 s, then 1 s, 2 s, at most 30 s. ``timeout`` is what a command may take in
    seconds, all tries together. A ``token`` that is called is called for each connection and as
    the last token nears its end. A ``session`` is left open. Raises ``ValueError`` for a bad URL.
    """
    address = Address.parse(url)
    async with AsyncExitStack() as stack:
        if session is None:
            session = await stack.enter_async_context(ClientSession())
        labels = {"deviceId": device_id or secrets.token_hex(8)}
        if device_name is not None:
            labels["deviceName"] = device_name
        player = Player(address, token, labels, session, timeout)
        running = asyncio.create_task(player._run())
        try:
            yield player
        finally:
            player._end(None)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


class Player:
    """One device. ``async for event in player`` hears all that happens, its own acts too.

    A command that finds no connection, or loses it, is sent at the next one, until its timeout,
    unless the playback was changed meanwhile: then it raises ``Conflict``. It takes effect once,
    also where its first copy arrives late. One that raised
    ``TimeoutError`` may have acted. Besides that, commands raise ``Unauthorized`` once the token
    was refused, which ends the player, ``ConnectionError`` after its end, and ``TrackNotFound``,
    ``Conflict``, ``RateLimited``, ``InvalidMessage`` as the server says. ``last`` is the last state
    heard, None before.
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
        self._token = token
        self._labels = labels
        self._session = session
        self._timeout = timeout
        self._socket: ClientWebSocketResponse | None = None
        self._is_ready = asyncio.Event()
        self._is_over = False
        self._failure: Exception | None = None
        self._trouble = "there was no connection"
        self._asked = 0
        self._renewals: list[asyncio.Task[None]] = []
        self._answers: dict[int, asyncio.Future[Frame]] = {}
        self._events: asyncio.Queue[Event | None] = asyncio.Queue()

    @property
    def position(self) -> float:
        """Seconds into the track now, estimated from the last state heard; 0 before it."""
        return 0.0 if self.last is None else self.last.position_at(time.monotonic())

    async def play(
        self, track_id: str, position: float | None = None, *, resume: bool = False
    ) -> State:
        """Play. Without ``position`` (seconds) the current track goes on where it is, another
        starts at 0, or with ``resume`` where it was left.
        """
        data = {"trackId": track_id, "currentTime": position, "resume": resume}
        return await self._command("playTrack", {**data, "commandId": secrets.token_hex(8)})

    async def pause(self, track_id: str | None = None, position: float | None = None) -> State:
        """Pause the current track, or ``track_id`` if that is the current one, else ``Conflict``.

        If nothing was ever played there is nothing to pause, and the state is answered.
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
        """Say where this player is, in seconds; answers what the server makes of it.

        ``duration`` in seconds, where the player knows it for certain: it replaces the listed one.

        None, and nothing is sent, while there is no connection: old news is no news.
        """
        data = {
            "trackId": track_id,
            "currentTime": position,
            "isPlaying": is_playing,
            "playbackRate": playback_rate,
            "duration": duration,
        }
        self._check()
        with suppress(ConnectionError, ClientError):
            async with self._patience():
                return parse_state((await self._exchange("updateStreaming", data))["data"])
        return None

    async def state(self) -> State:
        """The playback as it is now."""
        return await self._command("getCurrentState", {})

    async def tracks(self, q: str | None = None) -> list[Track]:
        """All tracks that this user may play, or those that match ``q``. Not tried again: raises
        ``aiohttp.ClientError`` if the server cannot be reached.
        """
        self._check()
        headers = {"Authorization": f"Bearer {await self._fresh_token()}"}
        async with self._session.get(
            f"{self._address.base}/api/tracks",
            params={} if q is None else {"q": q},
            headers=headers,
            timeout=ClientTimeout(self._timeout),
        ) as answer:
            try:
                content = json.loads(await answer.text())
                found = content["tracks"] if answer.ok else content["error"]
            except (ValueError, KeyError, TypeError):
                raise InvalidMessage("the server sent what is not a list of tracks") from None
        if not answer.ok:
            raise parse_error(found)
        return [parse_track(each, self._address) for each in found]

    def __aiter__(self) -> Player:
        return self

    async def __anext__(self) -> Event:
        event = await self._events.get()
        if event is not None:
            return event
        self._events.put_nowait(None)  # for whoever else waits
        if self._failure is not None:
            raise self._failure
        raise StopAsyncIteration

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._is_over:
            raise ConnectionError("this player's block has ended")

    @asynccontextmanager
    async def _patience(self) -> AsyncIterator[None]:
        limit = asyncio.timeout(self._timeout)
        try:
            async with limit:
                yield
        except TimeoutError:
            if not limit.expired():
                raise
            text = f"the server did not answer within {self._timeout:g} s: {self._trouble}"
            raise TimeoutError(text) from None

    async def _command(self, event: str, data: Mapping[str, Any]) -> State:
        known, socket, was_sent = self.last, self._socket, False
        async with self._patience():
            while True:
                await self._is_ready.wait()
                self._check()
                try:
                    if event == "getCurrentState" or known is None:
                        was_sent = True
                        return parse_state((await self._exchange(event, data))["data"])
                    if self._socket is socket:
                        was_sent = True
                        return await self._insist(event, data, known)
                    found = (await self._exchange("getCurrentState", {}))["data"]
                    state = parse_state(found)
                    if was_sent and _is_outcome(state, known, event, data):
                        return state
                    if not _is_untouched(state, known):
                        raise Conflict(
                            "the playback was changed while there was no connection", found
                        )
                    known, was_sent, guarded = state, True, {**data, "ifRev": state.rev}
                    return parse_state((await self._exchange(event, guarded))["data"])
                except (ConnectionError, ClientError) as error:
                    self._check()
                    self._trouble = str(error)

    async def _insist(self, event: str, data: Mapping[str, Any], known: State) -> State:
        """Send a command that must not undo, if it arrives late, what was done since.

        One that is refused at once was not late, but has lost a race.
        """
        began = time.monotonic()
        try:
            answer = await self._exchange(event, {**data, "ifRev": known.rev})
        except Conflict:
            if time.monotonic() - began > FRESH:
                raise
            answer = await self._exchange(event, data)
        return parse_state(answer["data"])

    async def _exchange(self, event: str, data: Mapping[str, Any]) -> Frame:
        """Send a frame and wait for its answer. Raises ``ConnectionError``, also halfway."""
        socket = self._socket
        if socket is None:
            raise ConnectionError(self._trouble)
        self._asked += 1
        answer = self._answers[number := self._asked] = asyncio.Future[Frame]()
        try:
            await self._send(socket, event, data, number)
            return await answer
        except (ConnectionError, ClientError):
            if self._socket is socket:  # no good until the next one
                self._is_ready.clear()
            raise
        finally:
            del self._answers[number]
            if answer.done() and not answer.cancelled():
                answer.exception()  # it has been seen

    async def _send(
        self, socket: ClientWebSocketResponse, event: str, data: Mapping[str, Any], number: int
    ) -> None:
        await socket.send_str(json.dumps({"event": event, "data": data, "id": number}))

    async def _fresh_token(self) -> str:
        token = self._token if isinstance(self._token, str) else self._token()
        return await token if inspect.isawaitable(token) else token

    async def _run(self) -> None:
        tries = 0
        while True:
            began = time.monotonic()
            try:
                await self._connect_once()
            except WSServerHandshakeError as error:
                if error.status in (401, 403):
                    self._end(Unauthorized("the server or a proxy refused the connection"))
                    return
                self._trouble = f"the server answered {error.status}"
            except _LOST as error:
                self._trouble = str(error) or "it took too long"
            except Exception as error:
                self._end(error)
                return
            _log.info("no connection: %s", self._trouble)
            if time.monotonic() - began > STEADY:
                tries = 0
            delay = min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(tries, 10))
            tries += 1
            await asyncio.sleep(random.uniform(0, delay))  # noqa: S311 - jitter, no secret

    def _end(self, failure: Exception | None) -> None:
        """Nothing is sent or heard from now on; wakes all who wait."""
        if self._is_over:
            return
        self._is_over, self._failure = True, failure
        self._events.put_nowait(None)
        self._is_ready.set()
        self._lose()

    def _lose(self) -> None:
        self._socket = None
        if not self._is_over:
            self._is_ready.clear()
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(ConnectionError(self._trouble))

    async def _connect_once(self) -> None:
        """One connection from handshake to end. Raises what ended it, one of ``_LOST`` or not."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._stop_renewals)
            async with asyncio.timeout(self._timeout):
                socket = await stack.enter_async_context(
                    self._session.ws_connect(
                        f"{self._address.base}/ws",
                        heartbeat=HEARTBEAT,
                        timeout=ClientWSTimeout(ws_close=1.0),
                    )
                )
                await self._greet(socket)
            try:
                await self._send(socket, "getCurrentState", {}, UNASKED)
                self._socket = socket
                self._is_ready.set()
                while True:
                    await self._hear(socket)
            finally:
                self._lose()

    async def _greet(self, socket: ClientWebSocketResponse) -> None:
        """Authenticate. Raises ``Unauthorized``, ``InvalidMessage`` for labels, or ``_LOST``."""
        await self._renew(socket)
        frame = await self._hear(socket)
        if frame["event"] == "error":
            error = parse_error(frame["data"])
            if isinstance(error, Unauthorized | InvalidMessage):
                raise error
            raise ConnectionError(str(error))
        if frame["event"] != "authenticated":
            raise ConnectionError("the server did not answer auth")

    async def _renew(self, socket: ClientWebSocketResponse) -> None:
        data = {"token": await self._fresh_token(), **self._labels}
        await self._send(socket, "auth", data, UNASKED)

    async def _stop_renewals(self) -> None:
        renewals, self._renewals = self._renewals, []
        for task in renewals:
            task.cancel()
        await asyncio.gather(*renewals, return_exceptions=True)

    async def _hear(self, socket: ClientWebSocketResponse) -> Frame:
        """Read a frame, and pass it on to whom it is for. Raises ``_LOST`` at the end."""
        message = await socket.receive()
        if message.type is not WSMsgType.TEXT:
            if socket.close_code == OTHER_USER:
                raise Unauthorized("the token is another user's")
            reason = message.extra or "without a reason"
            raise ConnectionError(f"the connection was closed, {socket.close_code}: {reason}")
        try:
            frame = parse_frame(message.data)
            event = parse_event(frame, self._address)
        except InvalidMessage as error:
            raise ConnectionError(str(error)) from None
        if frame["event"] == "tokenExpiring" and not isinstance(self._token, str):
            # One that fails costs nothing: the socket is closed at the end, and another opened.
            self._renewals.append(asyncio.create_task(self._renew(socket)))
        number = frame.get("id")
        if event is not None:
            self.last = event.state
            if event.name != "trackState" or number == UNASKED:
                self._tell(event)
        answer = self._answers.get(number) if isinstance(number, int) else None
        if answer is not None and not answer.done():
            if frame["event"] == "error":
                answer.set_exception(parse_error(frame["data"]))
            else:
                answer.set_result(frame)
        return frame

    def _tell(self, event: Event) -> None:
        if self._events.qsize() >= MAX_EVENTS:
            self._events.get_nowait()
        self._events.put_nowait(event)

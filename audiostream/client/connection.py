"""A WebSocket that reconnects: authentication, heartbeat, frames and their answers."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

from aiohttp import (
    ClientError,
    ClientSession,
    ClientWebSocketResponse,
    ClientWSTimeout,
    WSMsgType,
    WSServerHandshakeError,
)

from ..errors import InvalidMessage, Unauthorized
from .model import Report
from .wire import Address, Frame, parse_error, parse_frame, report_data

Token = str | Callable[[], str | Awaitable[str]]
"""A token, or a function that returns a fresh one; a plain function must not block."""

HEARTBEAT = 5.0
"""Seconds without a frame before a ping; a connection that does not answer within half of it is
dead.

Each ping costs some 100 bytes with headers. Intervals over 5 s aiohttp rounds up to whole seconds.
"""
FIRST_DELAY: Final = 0.5
"""Seconds before the second try to connect, before jitter; each further delay is twice as long."""
LONGEST_DELAY: Final = 30.0
"""Seconds: the longest delay, before jitter."""
STEADY: Final = 10.0
"""Seconds that a connection must last for the delays to begin again at FIRST_DELAY."""
CLOSE_TIMEOUT: Final = 1.0
"""Seconds that the server has to answer a close frame."""
OTHER_USER: Final = 4403
"""The close code of a token of another user than the connection's."""
UNSOLICITED: Final = 0
"""The id of frames whose answers are not waited for."""
FIRST_REPORT: Final = -1
"""The id of the report that is sent first; its answer is not waited for, and no broadcast."""
_LOST: Final = (ClientError, OSError)
"""Errors after which another connection is tried; ``TimeoutError`` is an ``OSError``."""

_log = logging.getLogger(__name__)


class Connection:
    """One device's connection, from ``run`` to ``end``. ``on_frame`` gets all that is received.

    ``on_connect`` returns where a player is that went on without a connection, None if none did.
    ``ws`` is the current WebSocket, authenticated, None while there is none; ``ready`` is set while
    there is one, and after the end. ``trouble`` says why there was none last.
    """

    def __init__(
        self,
        address: Address,
        token: Token,
        labels: Mapping[str, str],
        session: ClientSession,
        timeout: float,
        on_frame: Callable[[Frame], None],
        on_connect: Callable[[], Report | None],
    ) -> None:
        self.ws: ClientWebSocketResponse | None = None
        self.ready = asyncio.Event()
        self.trouble = "there was no connection"
        self._address = address
        self._token = token
        self._labels = labels
        self._session = session
        self._timeout = timeout
        self._on_frame = on_frame
        self._on_connect = on_connect
        self._is_over = False
        self._failure: Exception | None = None
        self._last_id = UNSOLICITED
        self._renewals: list[asyncio.Task[None]] = []
        self._answers: dict[int, asyncio.Future[Frame]] = {}

    async def run(self) -> None:
        """Stay connected until the server refuses the token, or until cancelled."""
        tries = 0
        while True:
            began = time.monotonic()
            try:
                await self._connect_once()
            except WSServerHandshakeError as error:
                if error.status in (401, 403):
                    self.end(Unauthorized("the server or a proxy refused the connection"))
                    return
                self.trouble = f"the server answered {error.status}"
            except _LOST as error:
                self.trouble = str(error) or "it took too long"
            except Exception as error:
                self.end(error)
                return
            _log.info("no connection: %s", self.trouble)
            if time.monotonic() - began > STEADY:
                tries = 0
            delay = min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(tries, 10))
            tries += 1
            await asyncio.sleep(random.uniform(0, delay))  # noqa: S311 - jitter, no secret

    def end(self, failure: Exception | None) -> None:
        """Send and receive nothing more; wakes all who wait."""
        if self._is_over:
            return
        self._is_over, self._failure = True, failure
        self.ready.set()
        self._disconnected()

    def check(self) -> None:
        """Raise what ended the connection for good, ``ConnectionError`` after a regular end."""
        if self._failure is not None:
            raise self._failure
        if self._is_over:
            raise ConnectionError("this player's block has ended")

    @property
    def failure(self) -> Exception | None:
        return self._failure

    async def exchange(self, event: str, data: Mapping[str, Any]) -> Frame:
        """Send a frame and return its answer. Raises ``ConnectionError``, also halfway."""
        ws = self.ws
        if ws is None:
            raise ConnectionError(self.trouble)
        self._last_id += 1
        answer = self._answers[frame_id := self._last_id] = asyncio.Future[Frame]()
        try:
            await _send(ws, event, data, frame_id)
            return await answer
        except (ConnectionError, ClientError):
            if self.ws is ws:  # not usable; the next connection sets it again
                self.ready.clear()
            raise
        finally:
            del self._answers[frame_id]
            if answer.done() and not answer.cancelled():
                answer.exception()  # marks it as retrieved

    @asynccontextmanager
    async def time_limit(self) -> AsyncIterator[None]:
        """Raise ``TimeoutError`` with the last trouble after the timeout of a command."""
        limit = asyncio.timeout(self._timeout)
        try:
            async with limit:
                yield
        except TimeoutError:
            if not limit.expired():
                raise
            text = f"the server did not answer within {self._timeout:g} s: {self.trouble}"
            raise TimeoutError(text) from None

    async def fresh_token(self) -> str:
        """Return the token, or what its function returns."""
        token = self._token if isinstance(self._token, str) else self._token()
        return await token if inspect.isawaitable(token) else token

    async def _connect_once(self) -> None:
        """One connection from handshake to end. Raises what ended it, one of ``_LOST`` or not."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._cancel_renewals)
            async with asyncio.timeout(self._timeout):
                ws = await stack.enter_async_context(
                    self._session.ws_connect(
                        f"{self._address.base}/ws",
                        heartbeat=HEARTBEAT,
                        timeout=ClientWSTimeout(ws_close=CLOSE_TIMEOUT),
                    )
                )
                await self._authenticate(ws)
            try:
                # Before the state is asked for: a playback that stopped as it had no player goes
                # on for one that was sent nothing yet.
                if (report := self._on_connect()) is not None:
                    await _send(ws, "updateStreaming", report_data(report), FIRST_REPORT)
                await _send(ws, "getCurrentState", {}, UNSOLICITED)
                _log.info("connected to %s", self._address.base)
                self.ws = ws
                self.ready.set()
                while True:
                    await self._receive(ws)
            finally:
                self._disconnected()

    def _disconnected(self) -> None:
        self.ws = None
        if not self._is_over:
            self.ready.clear()
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(ConnectionError(self.trouble))

    async def _authenticate(self, ws: ClientWebSocketResponse) -> None:
        """Raises ``Unauthorized``, ``InvalidMessage`` for labels, or one of ``_LOST``."""
        await self._send_token(ws)
        frame = await self._receive(ws)
        if frame["event"] == "error":
            error = parse_error(frame["data"])
            if isinstance(error, Unauthorized | InvalidMessage):
                raise error
            raise ConnectionError(str(error))
        if frame["event"] != "authenticated":
            raise ConnectionError("the server did not answer auth")

    async def _send_token(self, ws: ClientWebSocketResponse) -> None:
        data = {"token": await self.fresh_token(), **self._labels}
        await _send(ws, "auth", data, UNSOLICITED)

    async def _cancel_renewals(self) -> None:
        renewals, self._renewals = self._renewals, []
        for task in renewals:
            task.cancel()
        await asyncio.gather(*renewals, return_exceptions=True)

    async def _receive(self, ws: ClientWebSocketResponse) -> Frame:
        """Read a frame and dispatch it. Raises one of ``_LOST`` at the end."""
        message = await ws.receive()
        if message.type is not WSMsgType.TEXT:
            if ws.close_code == OTHER_USER:
                raise Unauthorized("the token is another user's")
            reason = message.extra or "without a reason"
            raise ConnectionError(f"the connection was closed, {ws.close_code}: {reason}")
        try:
            frame = parse_frame(message.data)
            self._on_frame(frame)
        except InvalidMessage as error:
            raise ConnectionError(str(error)) from None
        if frame["event"] == "tokenExpiring" and not isinstance(self._token, str):
            # A renewal that fails needs no handling: the server closes, and run() connects anew.
            self._renewals.append(asyncio.create_task(self._send_token(ws)))
        frame_id = frame.get("id")
        answer = self._answers.get(frame_id) if isinstance(frame_id, int) else None
        if answer is not None and not answer.done():
            if frame["event"] == "error":
                answer.set_exception(parse_error(frame["data"]))
            else:
                answer.set_result(frame)
        return frame


async def _send(
    ws: ClientWebSocketResponse, event: str, data: Mapping[str, Any], frame_id: int
) -> None:
    await ws.send_str(json.dumps({"event": event, "data": data, "id": frame_id}))

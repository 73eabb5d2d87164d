"""Commands and queries over a connection that may break: each takes effect once, or not at all."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import ClientError

from ..errors import Conflict
from .connection import Connection
from .model import State
from .wire import Frame, parse_state

PROMPT: Final = 2.0
"""Seconds within which a refusal comes to a command that was not held up on its way."""


async def send_query(connection: Connection, event: str, data: Mapping[str, Any]) -> Frame:
    """Return the answer to what may be sent any number of times, at the next connection too.

    Raises ``TimeoutError``, what ended the connection, and what the server answers.
    """
    async with connection.time_limit():
        while True:
            await connection.ready.wait()
            connection.check()
            try:
                return await connection.exchange(event, data)
            except (ConnectionError, ClientError) as error:
                connection.check()
                connection.trouble = str(error)


async def send_command(
    connection: Connection, event: str, data: Mapping[str, Any], known: State | None
) -> Frame:
    """Return the answer to a command that follows the state ``known``; it takes effect once.

    A command that finds no connection, or loses it, is sent at the next one, unless the playback
    was changed meanwhile: then it raises ``Conflict``. One with an ``ifRev`` keeps that.
    """
    data = {**data, "commandId": secrets.token_hex(8)}
    if known is None or data.get("ifRev") is not None:
        return await send_query(connection, event, data)
    ws, was_sent = connection.ws, False
    async with connection.time_limit():
        while True:
            await connection.ready.wait()
            connection.check()
            try:
                if connection.ws is ws:
                    was_sent = True
                    return await _send_guarded(connection, event, data, known)
                found = await connection.exchange("getCurrentState", {})
                state = parse_state(found["data"])
                if was_sent and _is_outcome(state, known, event, data):
                    return found
                if _is_unchanged(state, known):
                    known, was_sent = state, True
                elif not was_sent or event in ("playTrack", "pauseTrack"):
                    raise Conflict(
                        "the playback was changed while there was no connection", found["data"]
                    )
                # Else the command may have made this state: then the server knows its commandId,
                # and answers with the outcome; otherwise it refuses the old rev.
                return await connection.exchange(event, {**data, "ifRev": known.rev})
            except (ConnectionError, ClientError) as error:
                connection.check()
                connection.trouble = str(error)


async def _send_guarded(
    connection: Connection, event: str, data: Mapping[str, Any], known: State
) -> Frame:
    """Send a command with ``ifRev``, so that it undoes nothing if it arrives late.

    A refusal within PROMPT seconds was not late: another device was faster, and it is sent
    again without the guard.
    """
    began = time.monotonic()
    try:
        return await connection.exchange(event, {**data, "ifRev": known.rev})
    except Conflict:
        if time.monotonic() - began > PROMPT:
            raise
        return await connection.exchange(event, data)


def _is_unchanged(state: State, known: State) -> bool:
    """Return whether the playback was not changed since it was ``known``.

    A restarted server gives a restored state a new rev, and one that keeps nothing has none.
    """
    is_same = state.rev == known.rev or state.updated_at == known.updated_at
    return state.track_id is None or is_same


def _is_outcome(state: State, known: State, event: str, data: Mapping[str, Any]) -> bool:
    """Return whether a play or pause whose answer was lost has made exactly this state."""
    return (
        event in ("playTrack", "pauseTrack")
        and state.rev == known.rev + 1
        and state.track_id == data["trackId"]
        and state.is_playing == (event == "playTrack")
    )

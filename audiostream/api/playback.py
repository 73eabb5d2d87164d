"""Playback over REST: the three commands, and the current state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from aiohttp import web

from ..protocol.decode import Command, GetCurrentState, decode_command, decode_set_state
from ..rooms.room import Room
from ..services import SERVICES
from .requests import authenticate, authenticate_command, read_json_object
from .responses import Body, encode_json, respond_personally


async def play(request: web.Request) -> web.Response:
    """``POST /tracks/play/{id}`` with ``{currentTime?}``."""
    return await _perform(request, partial(decode_command, "playTrack"))


async def pause(request: web.Request) -> web.Response:
    """``POST /tracks/pause/{id}`` with ``{currentTime?}``."""
    return await _perform(request, partial(decode_command, "pauseTrack"))


async def update_state(request: web.Request) -> web.Response:
    """``POST /tracks/update-state/{id}`` with ``{currentTime, isPlaying}``."""
    return await _perform(request, decode_set_state)


async def current_state(request: web.Request) -> web.Response:
    """``GET /tracks/current-state``."""
    return await respond_with_state(request, authenticate_command(request), GetCurrentState())


async def _perform(
    request: web.Request, parse: Callable[[Mapping[str, Any]], Command]
) -> web.Response:
    user_id = authenticate_command(request)
    command = parse(await read_json_object(request) | {"trackId": request.match_info["id"]})
    return await respond_with_state(request, user_id, command)


async def respond_with_state(request: web.Request, user_id: str, command: Command) -> web.Response:
    """Perform a command and respond with the state after it."""

    def state_of(room: Room, now: float) -> dict[str, Any]:
        return room.view(now).to_json()

    state = await apply_command(request, user_id, command, state_of)
    return respond_personally(request, Body.json(encode_json(state)))


async def apply_command(
    request: web.Request,
    user_id: str,
    command: Command,
    result: Callable[[Room, float], dict[str, Any]],
) -> dict[str, Any]:
    """Perform a command and return its ``result``, which is asked for at once.

    The token is verified again before it is performed: reading the body, loading the room and the
    stop point take time, in which the user may be revoked.
    """

    def apply(room: Room) -> dict[str, Any]:
        authenticate(request)
        return result(room, room.apply(command))

    return await request.app[SERVICES].storage.loader.perform(user_id, apply)

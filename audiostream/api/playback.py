"""Playback over REST: the three commands, and the current state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from aiohttp import web

from ..protocol import messages
from ..protocol.messages import Command, GetCurrentState
from ..rooms.registry import PositionNeeded
from ..services import SERVICES
from .requests import authenticate, authenticate_command, read_json_object
from .responses import Body, encode_json, respond_personally


async def play(request: web.Request) -> web.Response:
    """``POST /tracks/play/{id}`` with ``{currentTime?}``."""
    return await _perform(request, partial(messages.command, "playTrack"))


async def pause(request: web.Request) -> web.Response:
    """``POST /tracks/pause/{id}`` with ``{currentTime?}``."""
    return await _perform(request, partial(messages.command, "pauseTrack"))


async def update_state(request: web.Request) -> web.Response:
    """``POST /tracks/update-state/{id}`` with ``{currentTime, isPlaying}``."""
    return await _perform(request, messages.set_state)


async def current_state(request: web.Request) -> web.Response:
    """``GET /tracks/current-state``."""
    return await _respond_with_state(request, authenticate_command(request), GetCurrentState())


async def _perform(
    request: web.Request, parse: Callable[[Mapping[str, Any]], Command]
) -> web.Response:
    user_id = authenticate_command(request)
    command = parse(await read_json_object(request) | {"trackId": request.match_info["id"]})
    return await _respond_with_state(request, user_id, command)


async def _respond_with_state(request: web.Request, user_id: str, command: Command) -> web.Response:
    """Perform a command and respond with the state after it.

    The token is verified again before it is performed: reading the body, loading the room and the
    stop point take time, in which the user may be revoked.
    """
    loader = request.app[SERVICES].storage.loader
    while True:
        room = await loader.room(user_id)  # in each round: it may have been removed meanwhile
        authenticate(request)
        try:
            state = room.perform(command)
        except PositionNeeded as needed:
            await loader.load_stop_point(room, needed.track_id)
        else:
            return respond_personally(request, Body.json(encode_json(state.to_json())))

"""The queue over REST: reading it, changing the list, going to the next or previous track."""

from __future__ import annotations

from aiohttp import web

from ..protocol.decode import Command, decode_command
from ..protocol.decode_queue import GetQueue
from ..rooms.room import Room
from .playback import apply_command, respond_with_state
from .requests import authenticate_command, read_json_object
from .responses import Body, encode_json, respond_personally


async def get_queue(request: web.Request) -> web.Response:
    """``GET /tracks/queue``."""
    return await _respond_with_queue(request, authenticate_command(request), GetQueue())


async def set_queue(request: web.Request) -> web.Response:
    """``PUT /tracks/queue`` with ``{trackIds, queueIndex?}``."""
    return await _change_list(request, "setQueue")


async def set_repeat(request: web.Request) -> web.Response:
    """``PUT /tracks/repeat`` with ``{repeat}``."""
    return await _change_list(request, "setRepeat")


async def shuffle(request: web.Request) -> web.Response:
    """``POST /tracks/shuffle``."""
    return await _change_list(request, "shuffleQueue")


async def next_track(request: web.Request) -> web.Response:
    """``POST /tracks/next``."""
    return await _skip(request, "nextTrack")


async def previous_track(request: web.Request) -> web.Response:
    """``POST /tracks/previous``."""
    return await _skip(request, "previousTrack")


async def _skip(request: web.Request, event: str) -> web.Response:
    user_id = authenticate_command(request)
    command = decode_command(event, await read_json_object(request))
    return await respond_with_state(request, user_id, command)


async def _change_list(request: web.Request, event: str) -> web.Response:
    user_id = authenticate_command(request)
    command = decode_command(event, await read_json_object(request))
    return await _respond_with_queue(request, user_id, command)


async def _respond_with_queue(request: web.Request, user_id: str, command: Command) -> web.Response:
    def data_of(room: Room, _: float) -> dict[str, object]:
        return room.queue_data()

    data = await apply_command(request, user_id, command, data_of)
    return respond_personally(request, Body.json(encode_json(data)))

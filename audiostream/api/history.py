"""What a user played: ``GET /tracks/history`` and ``GET /tracks/{id}/positions``."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final

from aiohttp import web

from ..errors import InvalidMessage, TrackNotFound
from ..services import SERVICES, Services
from ..storage.play_history import TRACKS_KEPT, HistoryEntry
from .requests import authenticate, authenticate_command, read_count
from .responses import Body, encode_json, respond_personally

DEFAULT_LIMIT: Final = 50
"""Tracks of a history where the request names no number."""
LONG_HISTORY: Final = 200
"""Tracks above which a history is encoded by another thread: signing their tickets takes about
4 ms."""


async def history(request: web.Request) -> web.Response:
    """``GET /tracks/history``: the tracks that the user played, the last one first; ``?limit=``."""
    user_id = authenticate_command(request)
    services = request.app[SERVICES]
    limit = _read_limit(request, max(TRACKS_KEPT, services.settings.max_history))
    entries = await services.storage.loader.history(
        user_id, partial(_is_listed, services, user_id), limit
    )
    make = partial(_make_body, services, user_id, entries, services.wall_clock())
    if len(entries) > LONG_HISTORY:
        body = await asyncio.get_running_loop().run_in_executor(services.file_executor, make)
    else:
        body = make()
    authenticate(request)  # the user may have been revoked meanwhile
    return respond_personally(request, body)


async def positions(request: web.Request) -> web.Response:
    """``GET /tracks/{id}/positions``: where the user stopped in a track, the newest first."""
    user_id, track_id = authenticate_command(request), request.match_info["id"]
    services = request.app[SERVICES]
    services.library.find(track_id, user_id)
    stop_points = await services.storage.loader.stop_points(user_id, track_id)
    authenticate(request)
    rows = [
        {"position": round(each.position, 3), "stoppedAt": int(each.at * 1000)}
        for each in stop_points
    ]
    return respond_personally(request, Body.json(encode_json({"positions": rows})))


def _read_limit(request: web.Request, most: int) -> int:
    limit = read_count(request, "limit")
    if limit is None:
        return DEFAULT_LIMIT
    if not 1 <= limit <= most:
        raise InvalidMessage(f'"limit" must be between 1 and {most}')
    return limit


def _is_listed(services: Services, user_id: str, track_id: str) -> bool:
    try:
        services.library.find(track_id, user_id)
    except TrackNotFound:
        return False
    return True


def _make_body(
    services: Services, user_id: str, entries: Sequence[HistoryEntry], now: float
) -> Body:
    """Return the history as JSON, with tickets as of ``now``."""
    rows: list[dict[str, Any]] = []
    for entry in entries:
        with suppress(TrackNotFound):  # a rescan may remove it meanwhile
            track = services.descriptions.describe_for_list(user_id, entry.track_id, now)
            position = None if entry.position is None else round(entry.position, 3)
            played_at = int(entry.played_at * 1000)
            rows.append({"track": track, "playedAt": played_at, "position": position})
    return Body.json(encode_json({"tracks": rows}))

"""Counting of the commands that come over REST."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import wraps
from typing import Any, Final, TypeAlias

from aiohttp import web

from ..errors import Unauthorized
from ..ops.counters import Counters
from . import playback, queue

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]

EVENTS: Final[Mapping[Any, str]] = {
    playback.play: "playTrack",
    playback.pause: "pauseTrack",
    playback.update_state: "updateState",
    playback.current_state: "getCurrentState",
    queue.get_queue: "getQueue",
    queue.set_queue: "setQueue",
    queue.set_repeat: "setRepeat",
    queue.shuffle: "shuffleQueue",
    queue.next_track: "nextTrack",
    queue.previous_track: "previousTrack",
}
"""The handlers of commands, with the events that do the same; ``updateState`` is REST's alone."""


def counted(routes: Iterable[web.RouteDef], counters: Counters) -> list[web.RouteDef]:
    """Return the routes, those of commands with handlers that count."""
    return [
        web.RouteDef(
            each.method,
            each.path,
            _counting(each.handler, EVENTS[each.handler], counters)
            if each.handler in EVENTS
            else each.handler,
            each.kwargs,
        )
        for each in routes
    ]


def _counting(handler: Any, event: str, counters: Counters) -> Handler:
    """Return a handler that counts what has a good token, also where it is refused."""

    @wraps(handler)
    async def count(request: web.Request) -> web.StreamResponse:
        is_authorized = True
        try:
            response: web.StreamResponse = await handler(request)
        except Unauthorized:
            is_authorized = False
            raise
        finally:
            if is_authorized:
                counters.commands["rest", event] += 1
        return response

    return count

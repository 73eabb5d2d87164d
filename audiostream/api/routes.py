"""The routes of the JSON API, at ``/`` and again below ``/api``."""

from __future__ import annotations

from aiohttp import web

from . import artwork, playback, queue, session, tracks
from .health import health


def routes(prefix: str) -> list[web.RouteDef]:
    """Return the table, each path behind ``prefix``."""
    return [
        web.get(f"{prefix}/tracks", tracks.list_tracks),
        web.get(f"{prefix}/tracks/current-state", playback.current_state),
        web.get(f"{prefix}/tracks/queue", queue.get_queue),
        web.put(f"{prefix}/tracks/queue", queue.set_queue),
        web.put(f"{prefix}/tracks/repeat", queue.set_repeat),
        web.post(f"{prefix}/tracks/shuffle", queue.shuffle),
        web.post(f"{prefix}/tracks/next", queue.next_track),
        web.post(f"{prefix}/tracks/previous", queue.previous_track),
        web.get(f"{prefix}/tracks/{{id}}", tracks.get_track),
        web.get(f"{prefix}/tracks/cover/{{id}}", artwork.cover),
        web.post(f"{prefix}/tracks/play/{{id}}", playback.play),
        web.post(f"{prefix}/tracks/pause/{{id}}", playback.pause),
        web.post(f"{prefix}/tracks/update-state/{{id}}", playback.update_state),
        web.post(f"{prefix}/session", session.open_session),
        web.delete(f"{prefix}/session", session.close_session),
        web.get(f"{prefix}/healthz", health),
    ]

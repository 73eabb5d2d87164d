"""Reports of a sound player to the server: positions, ends of tracks, the volume."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from ..errors import AudiostreamError, Conflict, Unauthorized
from .model import Report, State, Track, Volume
from .mpv_ipc import MpvGone
from .mpv_player import MpvPlayer
from .player import Player
from .wire import parse_state

REPORT_INTERVAL: Final = 1.0
"""Seconds between reports while it plays."""
END_REPEATED: Final = 3.0
"""Seconds after which an end is reported again that the server has not advanced from."""
BEFORE_END: Final = 0.5
"""Seconds of time, not of media, before an end of which the server did not learn in time."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class UnconfirmedEnd:
    """The end of ``track``, after ``position`` seconds, which the server has not advanced from.

    ``rev`` is the state's. ``at`` and ``reported_at`` are by the reporter's clock; None: not yet.
    """

    track: Track
    position: float
    rev: int
    at: float
    reported_at: float | None = None


class PlaybackReporter:
    """Reports what ``mpv`` does as ``player``; None while there is no mpv.

    ``end`` is what has ended here and not yet at the server; ``on_refused`` is called when that is
    outdated. ``clock`` returns monotonic seconds.
    """

    def __init__(
        self,
        player: Player,
        on_refused: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.mpv: MpvPlayer | None = None
        self.end: UnconfirmedEnd | None = None
        self._player = player
        self._on_refused = on_refused
        self._clock = clock
        self._wake = asyncio.Event()
        self._last: Report | None = None
        self._last_volume: Volume | None = None

    async def run(self) -> None:
        """Report at once after ``wake``, and every REPORT_INTERVAL. Raises ``Unauthorized``."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(REPORT_INTERVAL):
                    await self._wake.wait()
            self._wake.clear()
            await self.report()

    def wake(self) -> None:
        """Have something to report that should not wait."""
        self._wake.set()

    def at_connect(self) -> Report | None:
        """Return where the player is, if it plays: the first report of a connection.

        An unconfirmed end is reported as playing shortly before it, as the server takes no other
        report for that of a player that went on; what follows it is for a command.
        """
        self._last = self._last_volume = None
        mpv, end = self.mpv, self.end
        if not self._player.sounds_here:
            return None
        if end is not None:
            rate = 1.0 if mpv is None else mpv.playback_rate
            return Report(end.track.id, max(0.0, end.position - BEFORE_END * rate), True, rate)
        if mpv is None or mpv.track is None or mpv.is_paused:
            return None
        return Report(mpv.track.id, mpv.estimated_position(), True, mpv.playback_rate)

    async def report(self) -> None:
        """Report what there is to report. Raises ``Unauthorized``."""
        try:
            await self._report_volume()
            if self.end is not None:
                await self._report_end(self.end)
            elif self.mpv is not None:
                await self._report_position(self.mpv)
        except Unauthorized:
            raise
        except MpvGone:
            pass  # it is being started again
        except (AudiostreamError, TimeoutError) as error:
            _log.info("a report was not taken: %s", error)

    async def _report_volume(self) -> None:
        volume = None if self.mpv is None else self.mpv.volume
        if volume in (None, Volume(), self._last_volume) or not self._player.is_connected:
            return
        assert volume is not None  # noqa: S101 - for the type checker
        self._last_volume = volume
        await self._player.update_device(volume=volume.volume, muted=volume.muted)

    async def _report_position(self, mpv: MpvPlayer) -> None:
        track = mpv.track
        if track is None or not mpv.is_settled or not self._player.sounds_here:
            return
        position = await mpv.position()
        if mpv.track is not track or not mpv.is_settled or self.end is not None:
            return
        report = Report(track.id, position, not mpv.is_paused, mpv.playback_rate)
        if self._last is not None and not report.is_playing and report == self._last:
            return
        self._last = report
        await self._player.report(
            track.id, position, is_playing=report.is_playing, playback_rate=report.playback_rate
        )

    async def _report_end(self, end: UnconfirmedEnd) -> None:
        now = self._clock()
        if end.reported_at is not None and now - end.reported_at < END_REPEATED:
            return
        end.reported_at = now
        try:
            state = await self._player.report(
                end.track.id,
                end.position,
                is_playing=False,
                duration=end.position,
                ended=True,
                if_rev=end.rev,
            )
        except Conflict as conflict:
            self._on_conflict(end, parse_state(conflict.state))
            return
        if state is not None and self.end is end and state.rev == end.rev and not state.is_playing:
            self._refuse()  # nothing follows

    def _on_conflict(self, end: UnconfirmedEnd, state: State) -> None:
        """Report the end again if the queue alone has changed, else follow the new state."""
        if self.end is not end:
            return
        tolerance = 2.0 if self._player.server is None else 2.0 * self._player.server.sync_tolerance
        is_near = state.position_at(state.received) >= end.position - tolerance
        if state.track_id == end.track.id and state.is_playing and is_near:
            self.end = replace(end, rev=state.rev, reported_at=None)
            self.wake()
        else:
            self._refuse()

    def _refuse(self) -> None:
        self.end = None
        self._on_refused()

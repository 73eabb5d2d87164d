"""A device without a screen: follows its user's playback with mpv.

Events of the server and of mpv come in at one queue and are handled one after the other: each
compares what is wanted with what sounds (``sound_plan``). What takes longer has a task of its own:
reports (``playback_reporter``), and the recovery from a track that fails or from an outage.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Final

from aiohttp import ClientError

from ..errors import AudiostreamError, Conflict, TrackNotFound, Unauthorized
from .model import SYNC_TOLERANCE, Event, Track, Volume
from .mpv_ipc import DISCONNECTED, MpvError, MpvEvent, MpvGone
from .mpv_player import Ended, Failed, MpvPlayer
from .mpv_supervisor import MpvSupervisor
from .playback_reporter import PlaybackReporter, UnconfirmedEnd
from .player import Player
from .sound_plan import Wanted, plan

MAX_FAILURES: Final = 2
"""Times in a row that a track fails before it is skipped; the second time with a fresh ticket."""
RETRY_DELAY: Final = 2.0
"""Seconds before the server is asked for a fresh ticket again."""
RECHECK: Final[MpvEvent] = {"event": "recheck"}
"""An input that only asks for a comparison."""

_log = logging.getLogger(__name__)


class HeadlessPlayer:
    """Follows ``player`` with the mpv of ``supervisor``. ``clock`` returns monotonic seconds."""

    def __init__(
        self,
        player: Player,
        supervisor: MpvSupervisor,
        volume: Volume,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._player = player
        self._supervisor = supervisor
        self._volume = volume
        self._clock = clock
        self._inputs: asyncio.Queue[Event | MpvEvent] = asyncio.Queue()
        self._reporter = PlaybackReporter(player, self._recheck, clock)
        self._failures: dict[str, int] = {}
        self._skip_count = 0
        self._recovery: asyncio.Task[None] | None = None
        player.on_connect = self._reporter.at_connect

    async def run(self) -> None:
        """Follow until cancelled. Raises what ends the player or its mpv for good."""
        tasks = [
            asyncio.create_task(each)
            for each in (
                self._listen(),
                self._reporter.run(),
                self._supervisor.run(self._inputs.put_nowait, self._use_mpv),
            )
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            tasks += [] if self._recovery is None else [self._recovery]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen(self) -> None:
        async for event in self._player:
            self._inputs.put_nowait(event)

    async def _use_mpv(self, mpv: MpvPlayer) -> None:
        """Handle inputs with ``mpv`` until it ends."""
        item: Event | MpvEvent = RECHECK
        try:
            await mpv.prepare(self._volume)
            self._reporter.mpv = mpv
            while item is not DISCONNECTED:
                with suppress(MpvError):  # it refused a seek, as the track has just ended
                    await self.handle(item, mpv)
                item = await self._inputs.get()
        except MpvGone:
            await self._keep_events(item)
        finally:
            self._reporter.mpv = None

    async def _keep_events(self, item: Event | MpvEvent) -> None:
        """Drop what an mpv that is gone has reported; keep the server's events for the next."""
        kept = []
        while item is not DISCONNECTED:
            kept += [item] if isinstance(item, Event) else []
            item = await self._inputs.get()
        for event in kept:
            self._inputs.put_nowait(event)

    async def handle(self, item: Event | MpvEvent, mpv: MpvPlayer) -> None:
        """Handle one input. Raises ``MpvGone`` and ``MpvError``."""
        if not isinstance(item, Event):
            await self._handle_mpv_event(item, mpv)
        elif item.volume is not None:
            await mpv.set_volume(item.volume)
        elif item.name == "queueUpdated":
            if self._reporter.end is not None:
                self._reporter.end.rev = item.state.rev
            await self._follow(mpv)
        else:
            await self._handle_state(item, mpv)

    async def _handle_mpv_event(self, item: MpvEvent, mpv: MpvPlayer) -> None:
        match await mpv.handle_event(item) if item is not RECHECK else None:
            case None:
                if item is RECHECK:
                    await self._follow(mpv)
                return
            case Ended() as ended:
                self._on_end(ended, mpv)
            case Failed(track, reason):
                self._on_failure(track, reason)
            case _:
                self._volume = mpv.volume
                if mpv.is_settled and mpv.track is not None:
                    self._failures.pop(mpv.track.id, None)
                    self._skip_count = 0
        self._reporter.wake()

    async def _handle_state(self, event: Event, mpv: MpvPlayer) -> None:
        end, state = self._reporter.end, event.state
        if end is None:
            await self._follow(mpv)
        elif event.name == "trackState" and state.track_id == end.track.id and state.is_playing:
            self._resume_after_outage(end, mpv)
        elif state.rev != end.rev or state.track_id != end.track.id or not state.is_playing:
            # The server has advanced, or a user has acted. Where it went on to what sounds here
            # already, it did so as late as the end took to get there: that is no jump.
            self._reporter.end = None
            await self._follow(mpv, slack=self._clock() - end.at)

    async def _follow(self, mpv: MpvPlayer, slack: float = 0.0) -> None:
        """Do what is missing for what is wanted; positions may differ by ``slack`` seconds more."""
        if self._reporter.end is not None and self._player.sounds_here:
            return
        server = self._player.server
        tolerance = SYNC_TOLERANCE if server is None else server.sync_tolerance
        actions = plan(self._wanted(), await mpv.sound(), tolerance + slack)
        for action in actions:
            await mpv.apply(action)
        if actions:
            self._reporter.wake()

    def _wanted(self) -> Wanted | None:
        state, track = self._player.last, self._player.track
        if state is None or state.track_id is None or not self._player.sounds_here:
            return None
        if track is None or track.id != state.track_id:
            if state.is_playing:
                self._start_recovery(self._load_afresh(state.track_id))
            return None
        position = state.position_at(self._clock())
        return Wanted(
            track, position, state.is_playing, state.playback_rate, self._player.next_track
        )

    def _on_end(self, ended: Ended, mpv: MpvPlayer) -> None:
        state = self._player.last
        if state is None or state.track_id != ended.track.id or not self._player.sounds_here:
            return
        if ended.is_early and self._failures.get(ended.track.id, 0) < MAX_FAILURES - 1:
            _log.warning("the stream of %s broke off", ended.track.title)
            self._failures[ended.track.id] = self._failures.get(ended.track.id, 0) + 1
            self._start_recovery(self._load_afresh(ended.track.id))
            return
        self._failures.pop(ended.track.id, None)
        self._reporter.end = UnconfirmedEnd(ended.track, ended.position, state.rev, self._clock())

    def _on_failure(self, track: Track, reason: str) -> None:
        state = self._player.last
        count = self._failures[track.id] = self._failures.get(track.id, 0) + 1
        if state is None or state.track_id != track.id:
            return  # it was appended; it is tried again when it becomes the current track
        if count < MAX_FAILURES:
            self._start_recovery(self._load_afresh(track.id))
        else:
            _log.warning("%s cannot be played and is skipped: %s", track.title, reason)
            self._start_recovery(self._skip(state.rev, state.queue.length))

    def _resume_after_outage(self, end: UnconfirmedEnd, mpv: MpvPlayer) -> None:
        """Report an end that came while there was no connection: as a command if a track follows.

        The server has no player's report of that end, and would play the track to its end again.
        """
        state, track = self._player.last, mpv.track
        if state is None:
            return
        end.rev, end.reported_at = state.rev, None
        if track is None:
            self._reporter.wake()
            return
        position = mpv.estimated_position()
        self._start_recovery(self._play_on(track, position, state.rev))

    def _start_recovery(self, work: Coroutine[Any, Any, None]) -> None:
        """Run ``work`` in place of the recovery before: what that was about has changed."""
        if self._recovery is not None:
            self._recovery.cancel()
        self._recovery = asyncio.create_task(self._run_recovery(work))

    async def _run_recovery(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Unauthorized:
            pass  # the events end with it too
        except (AudiostreamError, ConnectionError, TimeoutError) as error:
            _log.info("no answer: %s", error)

    async def _load_afresh(self, track_id: str) -> None:
        """Have a track loaded again, with a fresh ticket, once the server can be reached."""
        while True:
            track = await self._find_track(track_id)
            if track is not None:
                break
            await asyncio.sleep(RETRY_DELAY)
        state = self._player.last
        if state is not None and state.track_id == track_id:
            self._player.track = track
            self._recheck()

    async def _find_track(self, track_id: str) -> Track | None:
        """Return a track with a fresh ticket, None if the server cannot be reached."""
        try:
            return await self._player.find_track(track_id)
        except (ClientError, OSError):
            return None
        except TrackNotFound:
            state = self._player.last
            if state is not None and state.track_id == track_id:
                _log.warning("a track is gone and is skipped")
                await self._skip(state.rev, state.queue.length)
            raise

    async def _skip(self, rev: int, queue_length: int) -> None:
        self._skip_count += 1
        if self._skip_count > max(1, queue_length):
            _log.error("nothing in the queue can be played: the playback is paused")
            self._skip_count = 0
            await self._player.pause()
            return
        with suppress(Conflict):  # a user has acted meanwhile
            await self._player.next(if_rev=rev)

    async def _play_on(self, track: Track, position: float, rev: int) -> None:
        try:
            await self._player.play(track.id, position, if_rev=rev)
        except Conflict:
            self._reporter.end = None
            self._recheck()

    def _recheck(self) -> None:
        self._inputs.put_nowait(RECHECK)

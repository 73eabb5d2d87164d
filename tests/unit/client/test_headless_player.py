"""The headless player between a server and an mpv that are fakes, on a clock that a test turns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from audiostream.client import Report, Volume
from audiostream.client import headless_player as module
from audiostream.client.headless_player import HeadlessPlayer
from audiostream.client.mpv_supervisor import MAX_STARTS, MpvKeepsEnding, MpvSupervisor
from audiostream.errors import Conflict, TrackNotFound
from tests.support.fake_mpv import FakeMpv
from tests.support.fake_player import FakePlayer, track
from tests.support.fakes import FakeClock
from tests.support.waiting import until

ONE, TWO, THREE = track("one"), track("two"), track("three")


@dataclass
class Kitchen:
    """A running headless player."""

    clock: FakeClock = field(default_factory=FakeClock)
    volume: Volume = field(default_factory=Volume)

    def __post_init__(self) -> None:
        self.player = FakePlayer(self.clock)
        self.mpv = FakeMpv(self.clock)
        supervisor = MpvSupervisor(self.mpv.start, self.clock, self.sleep)
        self.headless = HeadlessPlayer(self.player, supervisor, self.volume, self.clock)

    async def sleep(self, seconds: float) -> None:
        self.clock.advance(seconds)
        await asyncio.sleep(0)

    async def hears(self, *urls: str) -> None:
        """Wait until these URLs are loaded, and the first one sounds."""
        await until(lambda: self.mpv.urls == list(urls))
        await self.rests()

    async def rests(self) -> None:
        """Wait until nothing more is done of itself."""
        for _ in range(20):
            await asyncio.sleep(0.001)

    async def reported(self) -> dict[str, Any]:
        """Report now; return the last report."""
        await self.headless._reporter.report()
        return self.player.named("report")[-1]


@asynccontextmanager
async def running(kitchen: Kitchen) -> AsyncIterator[Kitchen]:
    task = asyncio.create_task(kitchen.headless.run())
    try:
        await kitchen.rests()
        yield kitchen
        assert not task.done(), task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def kitchen() -> AsyncIterator[Kitchen]:
    async with running(Kitchen()) as started:
        yield started


async def plays_one(kitchen: Kitchen) -> None:
    """Track one plays at 10 s, and two follows."""
    kitchen.player.receive("trackPlaying", ONE, 10.0, next_track=TWO)
    await kitchen.hears(ONE.stream_url, TWO.stream_url)
    await kitchen.headless._reporter.report()
    kitchen.player.sent.clear()
    kitchen.mpv.commands.clear()


async def test_it_loads_what_plays_where_it_is_and_what_follows(kitchen: Kitchen) -> None:
    kitchen.player.receive("trackPlaying", ONE, 10.0, next_track=TWO)
    await kitchen.hears(ONE.stream_url, TWO.stream_url)
    assert kitchen.mpv.playing is not None
    assert kitchen.mpv.playing.position == 10.0
    kitchen.mpv.advance(2.0)
    report = await kitchen.reported()
    assert (report["track_id"], report["position"], report["is_playing"]) == ("one", 12.0, True)


async def test_what_is_paused_is_not_downloaded_before_it_plays(kitchen: Kitchen) -> None:
    kitchen.player.receive("trackState", ONE, 10.0, is_playing=False)
    await kitchen.rests()
    assert kitchen.mpv.urls == []
    kitchen.player.receive("trackPlaying", ONE, 10.0)
    await kitchen.hears(ONE.stream_url)


async def test_a_pause_is_followed_and_reported_once(kitchen: Kitchen) -> None:
    await plays_one(kitchen)
    kitchen.player.receive("trackPaused", ONE, 10.0, is_playing=False)
    await until(lambda: kitchen.mpv.properties["pause"])
    await kitchen.rests()
    for _ in range(3):
        await kitchen.headless._reporter.report()
    assert [each["is_playing"] for each in kitchen.player.named("report")] == [False]


async def test_a_seek_and_another_rate_are_followed(kitchen: Kitchen) -> None:
    await plays_one(kitchen)
    kitchen.player.receive("trackUpdated", ONE, 40.0, playback_rate=1.5)
    await until(lambda: kitchen.mpv.properties["speed"] == 1.5)
    await kitchen.rests()
    assert ["seek", 40.0, "absolute+exact"] in kitchen.mpv.commands
    assert (await kitchen.reported())["playback_rate"] == 1.5


async def test_an_answer_to_an_end_that_is_faster_than_mpv_restarts_nothing(
    kitchen: Kitchen,
) -> None:
    await plays_one(kitchen)
    kitchen.mpv.end()
    await until(lambda: any(each.get("ended") for each in kitchen.player.named("report")))
    kitchen.player.receive("trackPlaying", TWO, 0.0, next_track=THREE)
    await kitchen.rests()
    kitchen.mpv.begin_next()
    await kitchen.hears(TWO.stream_url, THREE.stream_url)
    assert not [each for each in kitchen.mpv.commands if "seek" in each or "replace" in str(each)]
    report = await kitchen.reported()
    assert (report["track_id"], report["is_playing"]) == ("two", True)


async def test_an_end_is_reported_and_what_follows_goes_on_without_a_seek(kitchen: Kitchen) -> None:
    await plays_one(kitchen)
    rev = kitchen.player.last and kitchen.player.last.rev
    kitchen.mpv.advance(49.0)
    await kitchen.reported()
    kitchen.mpv.advance(1.5)
    await kitchen.hears(TWO.stream_url)
    [report] = [each for each in kitchen.player.named("report") if each.get("ended")]
    assert (report["track_id"], report["position"], report["if_rev"]) == ("one", 60.0, rev)
    assert (report["duration"], report["is_playing"]) == (60.0, False)
    kitchen.clock.advance(0.8)
    kitchen.player.receive("trackPlaying", TWO, 0.0, next_track=THREE)
    await kitchen.hears(TWO.stream_url, THREE.stream_url)
    assert not [each for each in kitchen.mpv.commands if "seek" in each or "replace" in str(each)]
    report = await kitchen.reported()
    assert (report["track_id"], report["is_playing"]) == ("two", True)


async def test_a_slow_confirmation_of_the_next_track_is_no_jump(kitchen: Kitchen) -> None:
    await plays_one(kitchen)
    kitchen.mpv.advance(50.0)
    await kitchen.hears(TWO.stream_url)
    kitchen.mpv.advance(4.0)
    kitchen.player.receive("trackPlaying", TWO, 0.0)
    await kitchen.rests()
    assert kitchen.mpv.playing is not None
    assert kitchen.mpv.playing.position == 4.0


async def test_an_end_that_is_not_confirmed_is_reported_again(kitchen: Kitchen) -> None:
    await plays_one(kitchen)
    kitchen.mpv.advance(50.0)
    await kitchen.hears(TWO.stream_url)
    await kitchen.reported()
    assert len(kitchen.player.named("report")) == 1
    kitchen.clock.advance(3.5)
    await kitchen.reported()
    assert [each["ended"] for each in kitchen.player.named("report")] == [True, True]


async def test_a_queue_that_changes_at_the_end_does_not_lose_the_end(kitchen: Kitchen) -> None:
    await plays_one(kitchen)
    assert kitchen.player.last is not None
    state = {
        "trackId": "one",
        "currentTime": 60.0,
        "isPlaying": True,
        "playbackRate": 1,
        "rev": 9,
        "deviceId": "kitchen",
        "updatedAt": 9,
        "serverTime": 9,
    }
    kitchen.player.raises["report"] = Conflict("another rev", state)
    kitchen.mpv.advance(50.0)
    await kitchen.hears(TWO.stream_url)
    await kitchen.reported()
    assert [each["if_rev"] for each in kitchen.player.named("report")] == [1, 9]


async def test_a_user_who_acts_at_the_end_wins(kitchen: Kitchen) -> None:
    await plays_one(kitchen)
    kitchen.mpv.advance(50.0)
    await kitchen.hears(TWO.stream_url)
    kitchen.player.receive("trackUpdated", ONE, 5.0)
    await kitchen.hears(ONE.stream_url, TWO.stream_url)
    assert kitchen.mpv.playing is not None
    assert kitchen.mpv.playing.position == 5.0


async def test_at_the_end_of_the_queue_it_is_silent(kitchen: Kitchen) -> None:
    kitchen.player.receive("trackPlaying", ONE, 59.0)
    await kitchen.hears(ONE.stream_url)
    kitchen.player.receive("trackState", ONE, 60.0, is_playing=False, is_new=False)
    kitchen.mpv.advance(1.0)
    await kitchen.hears()
    assert (await kitchen.reported())["ended"]
    assert kitchen.headless._reporter.end is None
    kitchen.player.receive("trackPlaying", ONE, 0.0)
    await kitchen.hears(ONE.stream_url)


async def test_what_is_queued_just_as_the_last_track_has_ended_plays(kitchen: Kitchen) -> None:
    kitchen.player.receive("trackPlaying", ONE, 59.0)
    await kitchen.hears(ONE.stream_url)
    kitchen.player.receive_queue(TWO)
    kitchen.mpv.advance(1.0)  # mpv is idle before it is told what follows
    await kitchen.hears(TWO.stream_url)
    kitchen.player.receive("trackPlaying", TWO, 0.0)
    await kitchen.rests()
    report = await kitchen.reported()
    assert (report["track_id"], report["is_playing"]) == ("two", True)


async def test_a_track_that_repeats_is_confirmed_like_another(kitchen: Kitchen) -> None:
    kitchen.player.receive("trackPlaying", ONE, 59.0, next_track=ONE)
    await kitchen.hears(ONE.stream_url, ONE.stream_url)
    kitchen.mpv.advance(1.2)
    await kitchen.hears(ONE.stream_url)
    kitchen.player.receive("trackPlaying", ONE, 0.0, next_track=ONE)
    await kitchen.hears(ONE.stream_url, ONE.stream_url)
    assert not [each for each in kitchen.mpv.commands if "seek" in each]


async def test_a_changed_queue_changes_what_follows_alone(kitchen: Kitchen) -> None:
    await plays_one(kitchen)
    kitchen.player.receive_queue(THREE)
    await kitchen.hears(ONE.stream_url, THREE.stream_url)
    assert kitchen.mpv.playing is not None
    assert kitchen.mpv.playing.position == 10.0
    kitchen.player.receive_queue(None)
    await kitchen.hears(ONE.stream_url)


async def test_another_active_device_silences_it_and_it_reports_nothing(kitchen: Kitchen) -> None:
    await plays_one(kitchen)
    kitchen.player.receive("trackUpdated", ONE, 10.0, device_id="phone")
    await kitchen.hears()
    await kitchen.headless._reporter.report()
    assert not kitchen.player.named("report")
    kitchen.player.receive("trackUpdated", ONE, 12.0, device_id="kitchen")
    await kitchen.hears(ONE.stream_url, TWO.stream_url)


async def test_without_an_active_device_it_sounds(kitchen: Kitchen) -> None:
    kitchen.player.receive("trackPlaying", ONE, 0.0, device_id=None)
    await kitchen.hears(ONE.stream_url)


async def test_its_volume_is_set_and_reported(kitchen: Kitchen) -> None:
    await plays_one(kitchen)
    kitchen.player.receive_volume(Volume(0.3, None))
    await until(lambda: kitchen.mpv.properties["volume"] == 30.0)
    await kitchen.rests()
    assert kitchen.player.named("device")[-1] == {"name": "device", "volume": 0.3, "muted": False}
    kitchen.mpv.user_sets("mute", True)
    await until(lambda: kitchen.player.named("device")[-1]["muted"])


async def test_a_pause_in_mpv_is_reported(kitchen: Kitchen) -> None:
    await plays_one(kitchen)
    kitchen.mpv.user_sets("pause", True)
    await until(lambda: kitchen.player.named("report"))
    assert not kitchen.player.named("report")[-1]["is_playing"]


async def test_a_track_that_fails_is_tried_with_a_fresh_ticket(kitchen: Kitchen) -> None:
    kitchen.mpv.broken.add(ONE.stream_url)
    kitchen.player.receive("trackPlaying", ONE, 10.0)
    await kitchen.hears(track("one", "fresh").stream_url)
    assert not kitchen.player.named("next")


async def test_a_track_that_cannot_be_played_is_skipped(
    kitchen: Kitchen, caplog: pytest.LogCaptureFixture
) -> None:
    kitchen.mpv.broken |= {ONE.stream_url, track("one", "fresh").stream_url}
    kitchen.player.receive("trackPlaying", ONE, 0.0)
    await until(lambda: kitchen.player.named("next"))
    assert kitchen.player.named("next") == [{"name": "next", "if_rev": 1}]
    assert "One cannot be played and is skipped: unrecognized file format" in caplog.text


async def test_a_track_that_is_gone_is_skipped(kitchen: Kitchen) -> None:
    kitchen.mpv.broken.add(ONE.stream_url)
    kitchen.player.raises["find"] = TrackNotFound("there is no such track")
    kitchen.player.receive("trackPlaying", ONE, 0.0)
    await until(lambda: kitchen.player.named("next"))


async def test_what_follows_and_fails_is_tried_again_when_its_turn_comes(kitchen: Kitchen) -> None:
    await plays_one(kitchen)
    kitchen.mpv.broken.add(TWO.stream_url)
    kitchen.mpv.advance(50.0)
    await kitchen.hears()
    kitchen.mpv.broken.clear()
    kitchen.player.receive("trackPlaying", TWO, 0.0)
    await kitchen.hears(TWO.stream_url)


async def test_a_queue_of_which_nothing_can_be_played_is_paused(kitchen: Kitchen) -> None:
    for each in (ONE, TWO, THREE):
        kitchen.mpv.broken |= {each.stream_url, track(each.id, "fresh").stream_url}
    for number in range(4):
        kitchen.player.receive("trackPlaying", (ONE, TWO, THREE)[number % 3], 0.0)
        await until(
            lambda count=number: len(kitchen.player.named("next")) == min(count + 1, 3)  # type: ignore[misc]
        )
    await until(lambda: kitchen.player.named("pause"))
    assert len(kitchen.player.named("next")) == 3


async def test_a_stream_that_breaks_off_is_no_end(kitchen: Kitchen) -> None:
    await plays_one(kitchen)
    kitchen.mpv.break_off()
    await kitchen.hears(track("one", "fresh").stream_url, TWO.stream_url)
    assert kitchen.mpv.playing is not None
    assert kitchen.mpv.playing.position == 10.0
    assert not [each for each in kitchen.player.named("report") if each.get("ended")]


async def test_a_killed_mpv_is_started_again_where_the_playback_is(kitchen: Kitchen) -> None:
    await plays_one(kitchen)
    kitchen.player.receive_volume(Volume(0.3, None))
    await until(lambda: kitchen.mpv.properties["volume"] == 30.0)
    await kitchen.rests()
    kitchen.mpv.properties["volume"] = 100.0
    kitchen.mpv.kill()
    await until(lambda: kitchen.mpv.starts == 2)
    await kitchen.hears(ONE.stream_url, TWO.stream_url)
    assert kitchen.mpv.playing is not None
    assert kitchen.mpv.playing.position == 10.5
    assert kitchen.mpv.properties["volume"] == 30.0


async def test_an_mpv_that_ends_at_each_start_ends_the_player() -> None:
    kitchen = Kitchen()
    task = asyncio.create_task(kitchen.headless.run())
    for count in range(1, MAX_STARTS + 1):
        await until(lambda n=count: kitchen.mpv.starts == n)  # type: ignore[misc]
        kitchen.mpv.kill()
    with pytest.raises(MpvKeepsEnding):
        await task


async def test_it_starts_with_the_volume_that_it_is_given() -> None:
    async with running(Kitchen(volume=Volume(0.4))) as kitchen:
        await until(lambda: kitchen.mpv.properties["volume"] == 40.0)


async def test_the_first_report_of_a_connection_is_where_it_is(kitchen: Kitchen) -> None:
    assert kitchen.player.on_connect() is None
    await plays_one(kitchen)
    kitchen.mpv.advance(5.0)
    assert kitchen.player.on_connect() == Report("one", 15.0, True)
    kitchen.player.receive("trackPaused", ONE, 15.0, is_playing=False)
    await until(lambda: kitchen.mpv.properties["pause"])
    await kitchen.rests()
    assert kitchen.player.on_connect() is None


async def test_a_track_that_followed_during_an_outage_goes_on(kitchen: Kitchen) -> None:
    await plays_one(kitchen)
    kitchen.mpv.advance(50.0)
    await kitchen.hears(TWO.stream_url)
    kitchen.mpv.advance(20.0)
    assert kitchen.player.on_connect() == Report("one", 59.5, True)
    kitchen.player.receive("trackState", ONE, 59.5, next_track=TWO, is_new=False)
    await until(lambda: kitchen.player.named("play"))
    [play] = kitchen.player.named("play")
    assert (play["track_id"], play["position"], play["if_rev"]) == ("two", 20.0, 1)
    kitchen.player.receive("trackPlaying", TWO, 20.0)
    await kitchen.rests()
    assert kitchen.mpv.playing is not None
    assert kitchen.mpv.playing.position == 20.0


async def test_another_track_after_an_outage_is_followed(kitchen: Kitchen) -> None:
    await plays_one(kitchen)
    kitchen.mpv.advance(50.0)
    await kitchen.hears(TWO.stream_url)
    kitchen.player.receive("trackState", THREE, 3.0)
    await kitchen.hears(THREE.stream_url)


async def test_a_track_that_comes_without_its_details_is_looked_up(
    kitchen: Kitchen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_DELAY", 0.001)
    kitchen.player.raises["find"] = ConnectionError("away")
    kitchen.player.receive("trackUpdated", ONE, 3.0)
    await kitchen.hears(track("one", "fresh").stream_url)
    assert len(kitchen.player.named("find")) == 2

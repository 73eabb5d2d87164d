"""A headless player whose tracks fail, whose mpv ends, or whose connection was lost."""

from __future__ import annotations

import asyncio

import pytest

from audiostream.client import Report, Volume
from audiostream.client import headless_player as module
from audiostream.client.mpv_supervisor import MAX_STARTS, MpvKeepsEnding
from audiostream.errors import TrackNotFound
from tests.support.fake_player import track
from tests.support.waiting import until
from tests.unit.client.kitchen import ONE, THREE, TWO, Kitchen, plays_one


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

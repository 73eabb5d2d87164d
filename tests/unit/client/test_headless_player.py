"""The headless player between a server and an mpv that are fakes, on a fake clock."""

from __future__ import annotations

from audiostream.client import Volume
from audiostream.errors import Conflict
from tests.support.waiting import until
from tests.unit.client.kitchen import ONE, THREE, TWO, Kitchen, plays_one, running


async def test_what_plays_is_loaded_where_it_is_with_what_follows(kitchen: Kitchen) -> None:
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


async def test_a_player_sounds_without_an_active_device(kitchen: Kitchen) -> None:
    kitchen.player.receive("trackPlaying", ONE, 0.0, device_id=None)
    await kitchen.hears(ONE.stream_url)


async def test_a_volume_from_another_device_is_set_and_reported(kitchen: Kitchen) -> None:
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


async def test_a_player_starts_with_the_volume_that_it_is_given() -> None:
    async with running(Kitchen(volume=Volume(0.4))) as kitchen:
        await until(lambda: kitchen.mpv.properties["volume"] == 40.0)

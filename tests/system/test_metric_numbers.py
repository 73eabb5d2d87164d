"""The numbers of ``/metrics`` are those of what a server did."""

from __future__ import annotations

import asyncio
import re
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from audiostream.services import SERVICES
from audiostream.settings import Limits
from tests.conftest import Serve, both_ways
from tests.support.live import Live, RunLive
from tests.support.metrics import PERSONAL, READER, scrape
from tests.support.raw_http import bearer, request, upgrade
from tests.support.redis_server import running_redis
from tests.support.server_process import Launch
from tests.support.waiting import until
from tests.support.ws_client import Peer, connect

Token = Callable[..., str]


@asynccontextmanager
async def two_devices(server: Live, token: str) -> AsyncIterator[tuple[Peer, Peer]]:
    async with (
        ClientSession() as session,
        connect(session, f"{server.url}/ws?deviceId=phone&deviceName=Ada's phone", token) as phone,
        connect(session, f"{server.url}/ws?deviceId=kitchen", token) as kitchen,
    ):
        yield phone, kitchen


async def report(peer: Peer, count: int = 1, **changes: Any) -> None:
    data = {"trackId": "song", "currentTime": 10.2, "isPlaying": True, **changes}
    for _ in range(count):
        await peer.send("updateStreaming", **data)


class TestNumbers:
    """A server of which everything is known that it did."""

    @pytest.fixture(autouse=True)
    def no_gap(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A busy machine may pause for longer than the gap after which reports wait for a pong."""
        monkeypatch.setattr("audiostream.websocket.message_handler.GAP", 1000.0)

    @pytest.fixture
    async def server(self, live: RunLive) -> AsyncIterator[Live]:
        async with live(metrics_token=READER, sync_tolerance=30.0) as server:
            yield server

    async def test_devices_commands_reports_and_frames(self, server: Live, token: Token) -> None:
        before = await scrape(server.url)
        async with two_devices(server, token()) as (phone, kitchen):
            await phone.send("playTrack", trackId="song", currentTime=10)
            for peer in (phone, kitchen):
                await peer.receives("trackPlaying")
            await report(phone, 40)
            await phone.send("pauseTrack", trackId="song", currentTime=10.5)
            for peer in (phone, kitchen):
                await peer.receives("trackPaused")
            await phone.send("setVolume", deviceId="kitchen", volume=0.5)
            await kitchen.receives("volume")
            await report(kitchen, trackId="nowhere")
            await kitchen.receives("error")
            await phone.receives_nothing()  # an event that there is not, and its answer
            found = await scrape(server.url)
        assert found("devices", transport="websocket") == 2
        assert found("devices", transport="socketio") == 0
        assert found("rooms") == 1
        for event, count in {"playTrack": 1, "pauseTrack": 1, "setVolume": 1, "other": 1}.items():
            assert found("commands_total", transport="websocket", event=event) == count
        assert found.sum("commands_total") == 4
        assert found("reports_total", outcome="absorbed") == 40
        assert found("reports_total", outcome="refused") == 1
        assert found.sum("reports_total") == 41
        sent = [each("frames_sent_total", transport="websocket") for each in (before, found)]
        assert sent[1] - sent[0] == 2 + 2 + 1 + 1 + 1
        await until(lambda: not server.app[SERVICES].sessions)
        found = await scrape(server.url)
        assert found("devices", transport="websocket") == 0
        assert found("disconnects_total", reason="client_closed") == 2

    async def test_reports_by_what_they_did(self, live: RunLive, token: Token) -> None:
        async with (
            live(metrics_token=READER) as server,
            two_devices(server, token()) as (phone, kitchen),
        ):
            await phone.send("playTrack", trackId="song", currentTime=10)
            for peer in (phone, kitchen):
                await peer.receives("trackPlaying")
            await report(phone)
            await report(phone, currentTime=40.0)  # the user has moved its slider
            for peer in (phone, kitchen):
                await peer.receives("trackUpdated")
            async with (
                ClientSession() as session,
                connect(session, f"{server.url}/ws", token()) as newcomer,
            ):
                await report(newcomer, currentTime=20.0)  # it has not been sent the state yet
                await newcomer.receives("trackUpdated")
            found = await scrape(server.url)
        for outcome in ("absorbed", "applied", "corrected"):
            assert found("reports_total", outcome=outcome) == 1
        assert found.sum("reports_total") == 3

    async def test_a_report_that_waits_for_a_pong_is_counted_when_it_is_applied(
        self, server: Live, token: Token, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with two_devices(server, token()) as (phone, _):
            await phone.send("playTrack", trackId="song", currentTime=10)
            await phone.receives("trackPlaying")
            monkeypatch.setattr("audiostream.websocket.message_handler.GAP", -1.0)
            await report(phone, 3)  # the last one alone is applied
            await phone.receives_nothing()
            await until(lambda: server.app[SERVICES].counters.reports.total())
            found = await scrape(server.url)
        assert found("reports_total", outcome="absorbed") == 1
        assert found.sum("reports_total") == 1

    async def test_no_text_of_a_client_is_in_the_metrics(self, server: Live, token: Token) -> None:
        async with two_devices(server, token()) as (phone, kitchen):
            await phone.send("playTrack", trackId="song", currentTime=10)
            await kitchen.receives("trackPlaying")
            await phone.receives("trackPlaying")
            for event in ("ada", "phone", "x" * 100, 'a"b\\c\nd'):
                await phone.send(event)
                await phone.receives("error")
            found = await scrape(server.url)
        assert found("commands_total", transport="websocket", event="other") == 4
        for text in (*PERSONAL, token(), READER, "xxx"):
            assert not re.search(rf"\b{re.escape(text)}\b", found.text), text

    async def test_a_device_that_does_not_read_is_counted_as_a_slow_reader(
        self, live: RunLive, token: Token
    ) -> None:
        limits = Limits(commands_per_second=1_000_000)
        async with (
            live(metrics_token=READER, limits=limits) as server,
            two_devices(server, token()) as (phone, kitchen),
            server.line(4096) as line,
        ):
            line.send(upgrade("/ws?deviceId=it", bearer(token())))
            await line.read_head()
            await until(lambda: len(server.app[SERVICES].registry.room("ada").devices) == 3)
            slow_readers, commands = 0.0, 0
            queue = ["song"] * 1000  # 8 KB for each device
            while not slow_readers and commands < 2000:
                for _ in range(10):
                    await phone.send("setQueue", trackIds=queue)
                for _ in range(10):
                    await phone.receives("queueUpdated")
                    await kitchen.receives("queueUpdated")
                commands += 10
                found = await scrape(server.url)
                slow_readers = found("disconnects_total", reason="slow_reader")
            assert slow_readers == 1
            assert found("devices", transport="websocket") == 2
            assert found("commands_total", transport="websocket", event="setQueue") == commands

    async def test_commands_over_rest_are_counted_unless_they_have_no_good_token(
        self, server: Live, token: Token
    ) -> None:
        headers = {"Authorization": f"Bearer {token()}"}
        async with ClientSession() as session:
            for path in ("/tracks/play/song", "/api/tracks/play/song", "/tracks/play/nowhere"):
                async with session.post(server.url + path, headers=headers) as answer:
                    assert answer.status == (404 if "nowhere" in path else 200)
            async with session.put(
                f"{server.url}/tracks/queue", headers=headers, json={"trackIds": ["song"]}
            ) as answer:
                assert answer.status == 200
            async with session.get(f"{server.url}/tracks/current-state", headers=headers) as answer:
                assert answer.status == 200
            async with session.post(f"{server.url}/tracks/play/song") as answer:
                assert answer.status == 401
        found = await scrape(server.url)
        assert found("commands_total", transport="rest", event="playTrack") == 3
        assert found("commands_total", transport="rest", event="setQueue") == 1
        assert found("commands_total", transport="rest", event="getCurrentState") == 1
        assert found.sum("commands_total") == 5

    async def test_socketio_clients_are_counted_apart(self, serve: Serve, token: Token) -> None:
        socketio = pytest.importorskip("socketio", reason="the [socketio] extra is not installed")
        server = await serve(metrics_token=READER, sync_tolerance=30.0)
        url = str(server.make_url("")).rstrip("/")
        client = socketio.AsyncClient(reconnection=False)
        heard: list[str] = []
        client.on("*", lambda event, _: heard.append(event))
        auth = {"token": token(), "deviceId": "phone"}
        await client.connect(url, auth=auth, transports=["websocket"])
        try:
            playing = {"trackId": "song", "currentTime": 10.0}
            await client.call("playTrack", playing)
            for _ in range(5):
                await client.call("updateStreaming", playing | {"isPlaying": True})
            await client.call("updateStreaming", {"trackId": 7})
            await client.call("nothingOfTheKind", {})
            await client.call("pauseTrack", playing)
            await until(lambda: heard.count("trackPaused") == 1)
            found = await scrape(url)
        finally:
            await client.disconnect()
            await client.shutdown()
        assert found("devices", transport="socketio") == 1
        assert found("devices", transport="websocket") == 0
        for event, count in {"playTrack": 1, "pauseTrack": 1, "other": 1}.items():
            assert found("commands_total", transport="socketio", event=event) == count
        assert found.sum("commands_total") == 3
        assert found("reports_total", outcome="absorbed") == 5
        assert found("reports_total", outcome="refused") == 1
        assert heard == ["trackPlaying", "error", "error", "trackPaused"]
        assert found("frames_sent_total", transport="socketio") == len(heard)
        await until(lambda: not server.app[SERVICES].sessions)
        found = await scrape(url)
        assert found("devices", transport="socketio") == 0
        assert found.sum("disconnects_total") == 1

    @both_ways
    async def test_streams_are_counted_by_their_bytes_while_they_are_sent(
        self, live: RunLive, token: Token, media: Path
    ) -> None:
        with (media / "other.wav").open("ab") as file:
            file.truncate(32_000_000)  # more than all buffers on its way
        headers = {"Authorization": f"Bearer {token()}"}
        async with live(metrics_token=READER) as server, ClientSession() as session:
            async with session.get(f"{server.url}/tracks/song", headers=headers) as answer:
                url = server.url + (await answer.json())["streamUrl"]
            total = 0
            for asked in ("bytes=0-", "bytes=0-9", "bytes=100-99999", "bytes=0-199999", "bytes=0-"):
                async with session.get(url, headers={"Range": asked}) as answer:
                    assert answer.status == 206
                    total += len(await answer.read())
            async with session.get(url) as answer:
                total += len(await answer.read())
            assert total > 3 * 960_000
            async with session.head(url) as answer:
                assert answer.status == 200
            async with session.get(url, headers={"Range": "bytes=99999999-"}) as answer:
                assert answer.status == 416
            found = await scrape(server.url)
            assert found("stream_bytes_total") == total
            assert found("open_streams") == 0
            async with session.get(f"{server.url}/tracks/other", headers=headers) as answer:
                path = (await answer.json())["streamUrl"]
            async with server.line() as line:
                line.send(request("GET", path))
                await line.read_exactly(100_000)
                found = await scrape(server.url)
                assert found("open_streams") == 1
                assert total < found("stream_bytes_total") < total + 32_000_000
            await until(lambda: not server.app[SERVICES].open_streams)
            assert (await scrape(server.url))("open_streams") == 0

    async def test_health_flushes_and_lag_are_measured(
        self, live: RunLive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("audiostream.metrics.loop_lag.INTERVAL", 0.01)
        async with live(metrics_token=READER, state=tmp_path / "state.sqlite3") as server:
            for name in ("state_flush_seconds", "event_loop_lag_seconds"):
                async with asyncio.timeout(10):
                    while not (await scrape(server.url))(f"{name}_count"):
                        await asyncio.sleep(0.05)
            monkeypatch.setattr(server.app[SERVICES].storage.saver, "is_degraded", True)
            found = await scrape(server.url)
            assert found("degraded") == 1
            assert found("state_flush_seconds_sum") > 0
            for name in ("state_flush_seconds", "event_loop_lag_seconds"):
                assert found(f"{name}_bucket", le="+Inf") == found(f"{name}_count")

    async def test_a_blocked_event_loop_is_a_lag(
        self, live: RunLive, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("audiostream.metrics.loop_lag.INTERVAL", 0.01)
        async with live(metrics_token=READER) as server:
            await asyncio.sleep(0.05)  # the measuring has begun
            time.sleep(0.6)  # noqa: ASYNC251 - that is what is measured
            found = await scrape(server.url)
            slow = found("event_loop_lag_seconds_count") - found(
                "event_loop_lag_seconds_bucket", le="0.5"
            )
            assert slow >= 1

    async def test_two_applications_of_one_process_count_apart(
        self, serve: Serve, token: Token
    ) -> None:
        one, two = [await serve(metrics_token=READER) for _ in range(2)]
        headers = {"Authorization": f"Bearer {token()}"}
        async with one.post("/tracks/play/song", headers=headers) as answer:
            assert answer.status == 200
        found = [await scrape(str(each.make_url("")).rstrip("/")) for each in (one, two)]
        assert [each("rooms") for each in found] == [1, 0]
        assert [each.sum("commands_total") for each in found] == [1, 0]


async def test_two_processes_that_share_a_store_count_what_they_do_with_it(
    tmp_path: Path, launch: Launch, token: Token
) -> None:
    with running_redis(tmp_path) as redis:
        environ = {"AUDIOSTREAM_REDIS": redis.url, "AUDIOSTREAM_METRICS_TOKEN": READER}
        one, two = launch(**environ), launch(**environ)
        for server in (one, two):
            await server.logs("the library has")
        async with (
            ClientSession() as session,
            connect(session, f"{one.url}/ws", token()) as phone,
            connect(session, f"{two.url}/ws", token()) as kitchen,
        ):
            await phone.send("playTrack", trackId="song", currentTime=10)
            for peer in (phone, kitchen):
                await peer.receives("trackPlaying")
            await report(phone)
            await report(phone, currentTime=40.0)
            for peer in (phone, kitchen):
                await peer.receives("trackUpdated")
            await phone.receives_nothing()
            found = [await scrape(each.url) for each in (one, two)]
            assert [each("devices", transport="websocket") for each in found] == [1, 1]
            assert [each.sum("reports_total") for each in found] == [2, 0]
            assert found[0]("reports_total", outcome="absorbed") == 1
            assert found[0]("reports_total", outcome="applied") == 1
            assert found[0].sum("commands_total", event="playTrack") == 1
            assert [each.sum("frames_sent_total") for each in found] == [3, 2]
            for each in found:
                assert each("store_round_trip_seconds_count") > 0
                assert each("store_round_trip_seconds_sum") > 0
                assert each("commit_losses_total") == 0
                assert each("degraded") == 0
                assert "state_flush" not in each.text


@pytest.mark.skipif(shutil.which("promtool") is None, reason="there is no promtool")
async def test_promtool_has_nothing_against_the_metrics(live: RunLive) -> None:
    async with live(metrics_token=READER) as server:
        text = (await scrape(server.url)).text
    pipe = asyncio.subprocess.PIPE
    checking = await asyncio.create_subprocess_exec(
        "promtool", "check", "metrics", stdin=pipe, stdout=pipe, stderr=pipe
    )
    said = await checking.communicate(text.encode())
    assert (checking.returncode, said) == (0, (b"", b""))

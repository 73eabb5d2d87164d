"""The queue against a running server, over WebSockets and REST."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.conftest import Client, Serve
from tests.support.ws_client import Peer, connect

Token = Callable[..., str]
ALBUM = ["song", "other", "song"]


@pytest.fixture
async def client(serve: Serve) -> Client:
    return await serve()


@pytest.fixture
async def devices(client: Client, token: Token) -> AsyncIterator[tuple[Peer, Peer]]:
    async with AsyncExitStack() as stack:
        url = str(client.make_url("/ws"))
        phone, kitchen = [
            await stack.enter_async_context(
                connect(client.session, f"{url}?deviceId={name}", token())
            )
            for name in ("phone", "kitchen")
        ]
        yield phone, kitchen


async def rest(
    client: Client, token: str, method: str, path: str, body: Any = None
) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {token}"}
    async with client.request(method, path, json=body, headers=headers) as answer:
        return answer.status, await answer.json()


async def test_an_album_is_played_skipped_and_seen_by_both_devices(
    devices: tuple[Peer, Peer],
) -> None:
    phone, kitchen = devices
    answer = await phone.ask("playTrack", trackId="song", queue=ALBUM, queueIndex=0)
    assert answer["event"] == "trackPlaying"
    assert answer["data"]["queue"] == {"index": 0, "length": 3, "repeat": "off"}
    assert answer["data"]["nextTrack"]["id"] == "other"
    assert answer["data"]["nextTrack"]["streamUrl"].startswith("/api/tracks/stream/other?")
    await kitchen.receives("trackPlaying")
    assert (await kitchen.receives("queueUpdated"))["trackIds"] == ALBUM
    await phone.receives("queueUpdated")
    skipped = await kitchen.ask("nextTrack", deviceId="phone")
    assert (skipped["data"]["trackId"], skipped["data"]["deviceId"]) == ("other", "phone")
    assert (await phone.receives("trackPlaying"))["queue"]["index"] == 1
    back = await kitchen.ask("previousTrack")
    assert (back["data"]["trackId"], back["data"]["queue"]["index"]) == ("song", 0)


async def test_the_reported_end_of_a_track_starts_the_next_one_for_all(
    devices: tuple[Peer, Peer],
) -> None:
    phone, kitchen = devices
    await phone.ask("playTrack", trackId="song", queue=ALBUM)
    await phone.receives("queueUpdated")
    for event in ("trackPlaying", "queueUpdated"):
        await kitchen.receives(event)
    await phone.send("updateStreaming", trackId="song", currentTime=0.1, isPlaying=True)
    for _ in range(2):
        end = {"trackId": "song", "currentTime": 0.2, "isPlaying": False, "ended": True}
        await phone.send("updateStreaming", **end)
    for peer in (phone, kitchen):
        started = await peer.receives("trackPlaying")
        assert (started["trackId"], started["currentTime"], started["rev"]) == ("other", 0, 2)
        await peer.receives_nothing()


async def test_the_queue_over_rest_is_the_one_of_the_sockets(
    client: Client, token: Token, devices: tuple[Peer, Peer]
) -> None:
    phone, _ = devices
    for prefix in ("", "/api"):
        status, queue = await rest(
            client, token(), "PUT", f"{prefix}/tracks/queue", {"trackIds": ALBUM}
        )
        assert (status, queue["trackIds"], queue["index"]) == (200, ALBUM, None)
        assert queue["nextTrack"]["id"] == "song"
        assert (await phone.receives("queueUpdated"))["rev"] == queue["rev"]
        assert await rest(client, token(), "GET", f"{prefix}/tracks/queue") == (200, queue)
    status, state = await rest(client, token(), "POST", "/tracks/next")
    assert (status, state["trackId"], state["queue"]["index"]) == (200, "song", 0)
    status, state = await rest(client, token(), "POST", "/tracks/previous", {})
    assert (status, state["trackId"]) == (200, "song")
    status, queue = await rest(client, token(), "PUT", "/tracks/repeat", {"repeat": "all"})
    assert (status, queue["repeat"]) == (200, "all")
    status, queue = await rest(client, token(), "POST", "/tracks/shuffle")
    assert (status, sorted(queue["trackIds"]), queue["index"]) == (200, sorted(ALBUM), 0)
    body = {"queue": ALBUM, "queueIndex": 2}
    status, state = await rest(client, token(), "POST", "/tracks/play/song", body)
    assert (status, state["queue"]["index"]) == (200, 2)


async def test_another_user_sees_nothing_of_a_queue(
    client: Client, token: Token, devices: tuple[Peer, Peer]
) -> None:
    await devices[0].ask("playTrack", trackId="song", queue=ALBUM)
    status, queue = await rest(client, token("bob"), "GET", "/tracks/queue")
    assert (status, queue["trackIds"], queue["rev"]) == (200, [], 0)


BAD = [
    ("setQueue", {}, "trackIds"),
    ("setQueue", {"trackIds": "song"}, "list of track ids"),
    ("setQueue", {"trackIds": ["song", 7]}, "list of track ids"),
    ("setQueue", {"trackIds": [""]}, "list of track ids"),
    ("setQueue", {"trackIds": ["song"], "queueIndex": 1}, "queueIndex"),
    ("setQueue", {"trackIds": ["song"], "queueIndex": -1}, "queueIndex"),
    ("setQueue", {"trackIds": ["song"], "queueIndex": 0.5}, "queueIndex"),
    ("setQueue", {"trackIds": ["song"], "queueIndex": True}, "queueIndex"),
    ("setQueue", {"trackIds": ["song"] * 1001}, "at most 1000 tracks"),
    ("setRepeat", {}, '"off", "one" or "all"'),
    ("setRepeat", {"repeat": "some"}, '"off", "one" or "all"'),
    ("setRepeat", {"repeat": ["off"]}, '"off", "one" or "all"'),
    ("nextTrack", {"ifRev": "1"}, "ifRev"),
    ("nextTrack", {"deviceId": 5}, "deviceId"),
    ("previousTrack", {"commandId": "x" * 65}, "commandId"),
    ("shuffleQueue", {"ifRev": 1.5}, "ifRev"),
    ("playTrack", {"trackId": "song", "queue": ["other"]}, "must contain"),
    ("playTrack", {"trackId": "song", "queue": []}, "must contain"),
    ("playTrack", {"trackId": "song", "queue": ALBUM, "queueIndex": 1}, "a place of"),
    ("playTrack", {"trackId": "song", "queue": ALBUM, "queueIndex": 9}, "a place of"),
    ("playTrack", {"trackId": "song", "queueIndex": 0}, "which is missing"),
    ("playTrack", {"trackId": "song", "queue": {"0": "song"}}, "list of track ids"),
]


@pytest.mark.parametrize(("event", "data", "said"), BAD, ids=lambda value: str(value)[:40])
async def test_bad_input_is_refused_with_what_was_wrong_and_changes_nothing(
    devices: tuple[Peer, Peer], event: str, data: dict[str, Any], said: str
) -> None:
    phone, kitchen = devices
    answer = await phone.ask(event, **data)
    assert (answer["event"], answer["data"]["code"]) == ("error", "invalid_message")
    assert said in answer["data"]["message"]
    assert (await phone.ask("getCurrentState"))["data"]["rev"] == 0
    await kitchen.receives_nothing()


@pytest.mark.parametrize("track", ["missing", "his"])
async def test_a_list_with_an_unknown_or_foreign_track_is_refused_alike(
    devices: tuple[Peer, Peer], track: str
) -> None:
    phone, _ = devices
    for event, data in (
        ("setQueue", {"trackIds": ["song", track]}),
        ("playTrack", {"trackId": "song", "queue": ["song", track]}),
    ):
        answer = await phone.ask(event, **data)
        assert (answer["event"], answer["data"]["code"]) == ("error", "track_not_found")
        assert answer["data"]["message"] == f"there is no such track: {track!r}"


async def test_a_queue_for_another_rev_is_a_conflict_with_the_state(
    devices: tuple[Peer, Peer],
) -> None:
    phone, _ = devices
    await phone.ask("playTrack", trackId="song")
    answer = await phone.ask("setQueue", trackIds=ALBUM, ifRev=0)
    assert (answer["event"], answer["data"]["code"]) == ("error", "conflict")
    assert answer["data"]["state"]["rev"] == 1
    answer = await phone.ask("setQueue", trackIds=ALBUM, ifRev=1)
    assert answer["event"] == "queueUpdated"


async def test_a_queue_of_a_thousand_tracks_fits_into_a_frame(devices: tuple[Peer, Peer]) -> None:
    phone, kitchen = devices
    answer = await phone.ask("playTrack", trackId="song", queue=["song", "other"] * 500)
    assert answer["data"]["queue"]["length"] == 1000
    await kitchen.receives("trackPlaying")
    assert len((await kitchen.receives("queueUpdated"))["trackIds"]) == 1000

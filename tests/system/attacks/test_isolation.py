"""Another user's names are answered as if they did not exist."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from audiostream import Settings
from tests.support.attack_target import AttackTarget
from tests.support.raw_http import Answer, bearer
from tests.support.raw_websocket import RawWebSocket
from tests.system.attacks.expectations import Headers, Token, comparable, routes


class TestIsolation:
    """What bob names of ada's is answered as if it did not exist, and she receives nothing."""

    HERS = ("hers", "ada", "user_ada", "adas-phone")
    UNKNOWN = "none"

    @pytest.fixture
    async def phone(self, target: AttackTarget, token: Token) -> AsyncIterator[RawWebSocket]:
        """Ada listens to her own track on a device with a label."""
        async with target.socket(path=f"/ws?token={token()}&deviceId=adas-phone") as phone:
            await phone.say("playTrack", "mine", trackId="hers", currentTime=5)
            assert (await phone.receives())["event"] == "trackPlaying"
            yield phone
            await phone.say("getCurrentState", "the last")
            answer = await phone.receives()
            assert answer["id"] == "the last"
            state = answer["data"]
            assert (state["trackId"], state["rev"], state["isPlaying"]) == ("hers", 1, True)
            assert state["deviceId"] == "adas-phone"

    async def test_every_route_answers_another_user_s_ids_like_unknown_ones(
        self, target: AttackTarget, phone: RawWebSocket, token: Token, settings: Settings
    ) -> None:
        bob = bearer(token("bob", 3600))
        telltale = []
        for method, path in dict.fromkeys(routes(settings)):
            changes = path.endswith(("current-state", "/queue", "/shuffle", "/repeat"))
            dated = ("etag", "content-length") if changes else ()  # it names the time, or a rev
            for more in ({}, {"Range": "bytes=0-9"}, {"If-None-Match": "*"}):
                unknown = await self.asked(target, method, path, self.UNKNOWN, bob | more)
                for name in self.HERS:
                    answer = await self.asked(target, method, path, name, bob | more)
                    if comparable(answer, *dated) != comparable(unknown, *dated):
                        telltale.append((method, path, name))
                if "{id}" in path:
                    assert unknown.essence == (404, None if method == "HEAD" else "track_not_found")
        assert telltale == []

    async def asked(
        self, target: AttackTarget, method: str, path: str, name: str, headers: Headers
    ) -> Answer:
        """The answer where ``name`` stands for every id that a request can hold."""
        query = f"?userId={name}&deviceId={name}&trackId={name}&room={name}&q={name}"
        data = {"trackId": name, "userId": name, "deviceId": name, "room": name}
        body = json.dumps(data | {"currentTime": 1, "isPlaying": True, "resume": True}).encode()
        filled = path.replace("{id}", name) + query
        return await target.ask(method, filled, headers, body if method == "POST" else b"")

    async def test_every_event_answers_another_user_s_ids_like_unknown_ones(
        self, target: AttackTarget, phone: RawWebSocket, token: Token
    ) -> None:
        answers: dict[str, list[dict[str, Any]]] = {}
        async with target.socket(token("bob")) as device:
            for event in EVENTS:
                for name in (self.UNKNOWN, *self.HERS):
                    data = dict.fromkeys(("trackId", "userId", "deviceId", "room", "user"), name)
                    await device.say(event, "q", **data, currentTime=1, isPlaying=True, resume=True)
                    answer = await device.receives()
                    answer["data"].pop("serverTime", None)
                    answers.setdefault(event, []).append(answer)
        for event, (unknown, *hers) in answers.items():
            assert hers == [unknown] * len(hers), event
            if event in {"playTrack", "pauseTrack", "updateStreaming"}:
                assert unknown["data"]["code"] == "track_not_found"

    async def test_a_renewal_or_handshake_answers_another_user_s_ids_like_unknown_ones(
        self, target: AttackTarget, phone: RawWebSocket, token: Token
    ) -> None:
        outcomes = set()
        for name in (self.UNKNOWN, *self.HERS):
            async with target.socket(token("bob")) as device:
                await device.say("auth", "q", token=name, userId=name, deviceId=name)
                outcomes.add((json.dumps(await device.receives()), await device.ending()))
            async with target.socket() as device:
                await device.say("auth", "q", token=name, userId=name, deviceId=name)
                outcomes.add((json.dumps(await device.receives()), await device.ending()))
        assert len(outcomes) == 1
        refused = set()
        for name in (*self.HERS, "none"):
            async with target.socket(path=f"/ws?token={name}") as device:
                refused.add((json.dumps(await device.receives()), await device.ending()))
        assert len(refused) == 1

    async def test_a_device_with_another_user_s_device_id_stays_its_own_user_s(
        self, target: AttackTarget, phone: RawWebSocket, token: Token
    ) -> None:
        path = f"/ws?token={token('bob')}&deviceId=adas-phone&userId=ada&room=user_ada"
        async with target.socket(path=path) as device:
            for event, frame_id in (("playTrack", 1), ("pauseTrack", 2), ("updateStreaming", 3)):
                await device.say(
                    event, frame_id, trackId="song", userId="ada", currentTime=7, isPlaying=False
                )
                answer = await device.receives()
                assert (answer["id"], answer["data"]["trackId"]) == (frame_id, "song")
            await device.say("auth", 4, token=token("bob"), deviceId="adas-phone", userId="ada")
            assert (await device.receives())["data"]["room"] == "user_bob"
            await device.say("auth", 5, token=token("ada"))
            assert await device.ending() == "4403"


EVENTS = (
    "playTrack",
    "pauseTrack",
    "updateStreaming",
    "getCurrentState",
    "transferPlayback",
    "getQueue",
    "trackPlaying",
    "trackPaused",
    "trackUpdated",
    "trackState",
    "authenticated",
    "tokenExpiring",
    "error",
    "join",
    "subscribe",
)
"""What clients send, what only the server sends, and what other servers would understand."""

"""Malformed frames and messages have their documented answers."""

from __future__ import annotations

import asyncio
import json

from tests.support.attack_target import AttackTarget
from tests.support.raw_http import Answer, bearer, upgrade
from tests.support.raw_websocket import CONTINUATION, PING, RawWebSocket, frame
from tests.system.attacks.expectations import Token, all_but, mismatches
from tests.system.attacks.payloads import (
    BOMB,
    FATAL_FRAMES,
    FIRST_FRAME,
    FRAME,
    TOLERATED_MESSAGES,
    inside,
)


class TestFrames:
    """Malformed frames have their documented answers, and nobody else notices."""

    async def test_a_malformed_frame_closes_the_connection_with_its_code(
        self, target: AttackTarget, token: Token
    ) -> None:
        assert mismatches(FATAL_FRAMES, await self.endings(target, token())) == {}

    async def endings(self, target: AttackTarget, token: str | None = None) -> dict[str, str]:
        """How each attack ends its connection."""

        async def ending(attack: bytes) -> str:
            async with target.socket(token) as device:
                await device.send(attack)
                return await device.ending()

        endings = await asyncio.gather(*(ending(attack) for attack, _ in FATAL_FRAMES.values()))
        return dict(zip(FATAL_FRAMES, endings, strict=True))

    async def test_a_malformed_message_is_answered_on_a_connection_that_stays_open(
        self, target: AttackTarget, token: Token
    ) -> None:
        found = {}
        async with target.socket(token()) as device:
            for name, (text, _) in TOLERATED_MESSAGES.items():
                assert len(text.encode()) <= FRAME, name
                await device.send(frame(text))
                found[name] = await device.verdict()
            await device.say("getCurrentState", "still there?")
            assert (await device.receives())["id"] == "still there?"
        assert mismatches(TOLERATED_MESSAGES, found) == {}

    async def test_a_malformed_frame_before_authentication_closes_the_connection(
        self, target: AttackTarget
    ) -> None:
        assert mismatches(FATAL_FRAMES, await self.endings(target)) == {}

    async def test_a_first_frame_of_more_than_4_kib_is_1009(
        self, target: AttackTarget, token: Token
    ) -> None:
        hello = json.dumps({"event": "auth", "data": {"token": token()}})
        async with target.socket() as device:
            await device.send(frame(hello + " " * (FIRST_FRAME - len(hello))))
            assert await device.verdict() == "authenticated"
            await device.send(frame(inside("1") + " " * 10_000))
            assert await device.verdict() == "trackState"
        async with target.socket() as device:
            await device.send(frame(hello + " " * (FIRST_FRAME - len(hello) + 1)))
            assert await device.ending() == "1009"

    async def test_a_first_frame_that_is_no_auth_event_is_4401(self, target: AttackTarget) -> None:
        found = {}
        texts = {n: t for n, (t, _) in TOLERATED_MESSAGES.items() if len(t.encode()) <= FIRST_FRAME}
        for name, text in texts.items():
            async with target.socket() as device:
                await device.send(frame(text))
                found[name] = await device.ending()
        assert all_but("4401", found) == {}

    async def test_fragments_in_order_are_one_message(
        self, target: AttackTarget, token: Token
    ) -> None:
        text = inside(json.dumps("é" * 500)).encode()
        first, *middle = (text[at : at + 1] for at in range(len(text)))
        async with target.socket(token()) as device:
            await device.send(frame(first, final=False))
            for byte in middle:
                await device.send(frame(byte, CONTINUATION, final=False))
            await device.send(frame("", PING) + frame("", CONTINUATION))
            assert await device.verdict() == "trackState"

    async def test_compression_is_never_negotiated(
        self, target: AttackTarget, token: Token
    ) -> None:
        for offer in (
            "permessage-deflate",
            "permessage-deflate; client_max_window_bits; server_no_context_takeover",
            "x-webkit-deflate-frame, permessage-deflate; server_max_window_bits=15",
        ):
            async with target.connect() as wire:
                headers = bearer(token()) | {"Sec-WebSocket-Extensions": offer}
                await wire.send(upgrade("/ws", headers))
                answer = Answer.of(await wire.reader.readuntil(b"\r\n\r\n"))
                assert (answer.status, answer.headers.get("sec-websocket-extensions")) == (
                    101,
                    None,
                )
                await wire.send(frame(BOMB, reserved=4))
                device = RawWebSocket(wire.reader, wire.writer, target.answers)
                assert await device.ending() == "1002"

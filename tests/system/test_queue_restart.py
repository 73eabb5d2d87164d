"""A queue outlives the process that kept it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import ClientSession

from tests.support.server_process import Launch, ServerProcess

IDS = ["song", "other", "hers", "song"]


def session_at(server: ServerProcess, token: str) -> ClientSession:
    return ClientSession(server.url, headers={"Authorization": f"Bearer {token}"})


async def ask(session: ClientSession, method: str, path: str, **body: Any) -> dict[str, Any]:
    async with session.request(method, path, json=body or None) as answer:
        assert answer.status == 200, await answer.text()
        data: dict[str, Any] = await answer.json()
        return data


async def test_a_queue_goes_on_at_its_place_after_a_kill_and_after_a_stop(
    launch: Launch, token: Callable[..., str], tmp_path: Path
) -> None:
    state = str(tmp_path / "state" / "state.sqlite3")
    server = launch("--state", state)
    server.wait_for_log("the library has")
    async with session_at(server, token("ada")) as session:
        play = {"currentTime": 20, "queue": IDS, "queueIndex": 1}
        await ask(session, "POST", "/tracks/play/other", **play)
        before = await ask(session, "PUT", "/tracks/repeat", repeat="all")
        await asyncio.sleep(1.0)  # what was changed is on disk within a second
    server.close()
    for _ in range(2):
        server = launch("--state", state)
        server.wait_for_log("the library has")
        async with session_at(server, token("ada")) as session:
            after = await ask(session, "GET", "/tracks/queue")
            assert (after["trackIds"], after["index"], after["repeat"]) == (IDS, 1, "all")
            assert after["nextTrack"]["id"] == "hers"
            assert after["rev"] >= before["rev"]
        assert server.stop() == 0
    server = launch("--state", state)
    server.wait_for_log("the library has")
    async with session_at(server, token("ada")) as session:
        tracks = [(await ask(session, "POST", "/tracks/next"))["trackId"] for _ in range(3)]
        assert tracks == ["hers", "song", "song"]
        assert (await ask(session, "GET", "/tracks/queue"))["index"] == 0

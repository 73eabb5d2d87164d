"""Commands over REST count against their user's rate, and disturb nobody else."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest
from aiohttp import ClientSession

from audiostream import Settings
from tests.conftest import Client, Serve
from tests.support.fakes import FakeClock
from tests.support.server_process import Launch
from tests.support.ws_client import connect

Token = Callable[..., str]
ROUTES = [
    ("POST", "/tracks/play/song"),
    ("POST", "/tracks/pause/song"),
    ("POST", "/tracks/update-state/song"),
    ("POST", "/api/tracks/play/song"),
    ("GET", "/tracks/current-state"),
    ("HEAD", "/api/tracks/current-state"),
]
BODY = {"currentTime": 3, "isPlaying": True}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def client(serve: Serve, settings: Settings, clock: FakeClock) -> Client:
    """A server that allows each user five commands a second, and ten at once."""
    return await serve(clock=clock, limits=replace(settings.limits, commands_per_second=5))


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_over_twice_the_rate_at_once_a_command_is_429_with_retry_after(
    client: Client, token: Token, method: str, path: str
) -> None:
    statuses = []
    for _ in range(20):
        async with client.request(method, path, headers=bearer(token()), json=BODY) as answer:
            statuses.append(answer.status)
            await answer.read()
    assert statuses == [200] * 10 + [429] * 10
    assert answer.headers["Retry-After"] == "1"
    if method != "HEAD":
        assert (await answer.json())["error"]["code"] == "rate_limited"


async def test_all_routes_and_tokens_of_a_user_share_one_rate(client: Client, token: Token) -> None:
    tokens = [token("ada", 100.0 + number) for number in range(20)]
    statuses: Counter[int] = Counter()
    for number, each in enumerate(tokens):
        method, path = ROUTES[number % len(ROUTES)]
        async with client.request(method, path, headers=bearer(each), json=BODY) as answer:
            statuses[answer.status] += 1
    assert statuses == {200: 10, 429: 10}


async def test_after_a_pause_commands_are_accepted_again(
    client: Client, clock: FakeClock, token: Token
) -> None:
    async def ask() -> int:
        headers = bearer(token())
        async with client.get("/tracks/current-state", headers=headers) as answer:
            return answer.status

    assert [await ask() for _ in range(11)] == [200] * 10 + [429]
    clock.advance(1.0)
    assert [await ask() for _ in range(6)] == [200] * 5 + [429]


async def test_the_rate_of_rest_commands_spares_other_users_and_the_user_s_devices(
    client: Client, token: Token
) -> None:
    async with (
        ClientSession() as session,
        connect(session, str(client.make_url("/ws")), token("ada")) as phone,
    ):
        for _ in range(30):
            await client.post("/tracks/play/song", headers=bearer(token("ada")), json=BODY)
        async with client.post("/tracks/play/song", headers=bearer(token("bob"))) as answer:
            assert answer.status == 200
        while (await phone.frame())["data"]["rev"] < 10:
            pass
        await phone.send("getCurrentState", "mine")
        while (frame := await phone.frame()).get("id") != "mine":
            pass
        assert frame["event"] == "trackState"


async def test_a_refused_command_changes_nothing(
    client: Client, clock: FakeClock, token: Token
) -> None:
    headers, revs = bearer(token()), []
    for position in range(30):
        path, body = "/tracks/play/song", {"currentTime": position}
        async with client.post(path, headers=headers, json=body) as answer:
            if answer.status == 200:
                revs.append((await answer.json())["rev"])
    clock.advance(1.0)
    async with client.get("/tracks/current-state", headers=headers) as answer:
        assert (await answer.json())["rev"] == len(revs) == revs[-1]


async def test_a_command_with_a_refused_token_does_not_count(client: Client, token: Token) -> None:
    forged = token("ada")[:-3] + "abc"
    for _ in range(40):
        async with client.get("/tracks/current-state", headers=bearer(forged)) as answer:
            assert answer.status == 401
    async with client.get("/tracks/current-state", headers=bearer(token())) as answer:
        assert answer.status == 200


async def test_by_default_a_flood_is_limited_to_forty_commands_and_twenty_a_second(
    launch: Launch, token: Token
) -> None:
    server = launch()
    server.wait_for_log("the library has")
    loop = asyncio.get_running_loop()
    done: Counter[int] = Counter()

    async def flood(session: ClientSession, until: float) -> None:
        url = f"{server.url}/tracks/play/song"
        while loop.time() < until:
            async with session.post(url, json=BODY, headers=bearer(token())) as answer:
                done[answer.status] += 1

    began = loop.time()
    async with ClientSession() as session:
        await asyncio.gather(*(flood(session, began + 2.0) for _ in range(4)))
    took = loop.time() - began
    assert done.keys() == {200, 429}
    assert 40 <= done[200] <= 41 + 20 * took

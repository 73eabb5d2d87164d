"""The address, scheme and host that a trusted proxy forwards count wherever the client does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from http.cookies import SimpleCookie
from typing import Any

import pytest
from aiohttp import ClientSession, WSServerHandshakeError

from audiostream.settings import Limits
from tests.conftest import Serve
from tests.support.server_process import Launch
from tests.support.ws_client import connect

Token = Callable[..., str]
HERE = ("127.0.0.1",)


class TestWhereItCounts:
    async def test_unauthenticated_sockets_are_counted_by_the_clients_behind_a_proxy(
        self, serve: Serve
    ) -> None:
        client = await serve(trusted_proxies=HERE, limits=Limits(waiting_per_address=2))
        url = str(client.make_url("/ws"))

        def by(*addresses: str) -> dict[str, str]:
            return {"X-Forwarded-For": ", ".join(addresses)}

        async with AsyncExitStack() as stack:
            for port in range(2):
                headers = by("203.0.113.1", f"203.0.113.9:{port + 1}")
                await stack.enter_async_context(connect(client.session, url, headers=headers))
            headers = by("203.0.113.77", "203.0.113.9")
            with pytest.raises(WSServerHandshakeError) as refused:
                await stack.enter_async_context(connect(client.session, url, headers=headers))
            assert refused.value.status == 429
            await stack.enter_async_context(connect(client.session, url, headers=by("203.0.113.1")))

    async def test_clients_of_an_untrusted_proxy_count_as_one_address(self, serve: Serve) -> None:
        client = await serve(limits=Limits(waiting_per_address=2))
        url = str(client.make_url("/ws"))
        async with AsyncExitStack() as stack:
            for number in range(2):
                headers = {"X-Forwarded-For": f"203.0.113.{number}"}
                await stack.enter_async_context(connect(client.session, url, headers=headers))
            headers = {"X-Forwarded-For": "203.0.113.9"}
            with pytest.raises(WSServerHandshakeError) as refused:
                await stack.enter_async_context(connect(client.session, url, headers=headers))
            assert refused.value.status == 429

    async def test_socketio_clients_are_counted_by_the_clients_behind_a_proxy(
        self, serve: Serve
    ) -> None:
        pytest.importorskip("socketio", reason="the [socketio] extra is not installed")
        client = await serve(trusted_proxies=HERE, limits=Limits(waiting_per_address=1))
        statuses = []
        for address in ("203.0.113.1", "203.0.113.1", "203.0.113.2"):
            headers = {"X-Forwarded-For": address}
            path = "/socket.io/?EIO=4&transport=polling"
            async with client.get(path, headers=headers) as answer:
                statuses.append(answer.status)
        assert statuses == [200, 429, 200]

    async def test_public_streams_are_counted_by_the_clients_behind_a_proxy(
        self, serve: Serve, media: Any
    ) -> None:
        with (media / "song.wav").open("ab") as song:
            song.truncate(64 * 1024 * 1024)  # more than buffers hold
        client = await serve(
            trusted_proxies=HERE, public_streams=True, limits=Limits(streams_per_user=1)
        )
        async with AsyncExitStack() as stack:
            statuses = []
            for address in ("203.0.113.1", "203.0.113.1", "203.0.113.2"):
                answer = await stack.enter_async_context(
                    client.get("/tracks/stream/song", headers={"X-Forwarded-For": address})
                )
                statuses.append(answer.status)
                if answer.status == 200:
                    stack.callback(answer.close)
        assert statuses == [200, 429, 200]

    @pytest.mark.parametrize(("trusted", "secure"), [(HERE, True), ((), False)])
    async def test_the_session_cookie_is_secure_where_the_proxy_speaks_tls(
        self, serve: Serve, token: Token, trusted: tuple[str, ...], secure: bool
    ) -> None:
        client = await serve(trusted_proxies=trusted)
        headers = {"Authorization": f"Bearer {token()}", "X-Forwarded-Proto": "https"}
        async with client.post("/session", headers=headers) as answer:
            [cookie] = SimpleCookie(answer.headers["Set-Cookie"]).values()
        assert bool(cookie["secure"]) == secure

    @pytest.mark.parametrize(("trusted", "status"), [(HERE, 101), ((), 403)])
    async def test_a_page_of_the_host_that_the_proxy_forwards_may_connect(
        self, serve: Serve, token: Token, trusted: tuple[str, ...], status: int
    ) -> None:
        client = await serve(trusted_proxies=trusted)
        headers = {"Origin": "https://music.example", "X-Forwarded-Host": "music.example"}
        url, found = str(client.make_url("/ws")), 101
        try:
            async with connect(client.session, url, token(), headers=headers) as phone:
                await phone.receives_nothing()
        except WSServerHandshakeError as refused:
            found = refused.status
        assert found == status

    async def test_a_cookie_set_behind_a_proxy_authenticates_small_and_large_ranges(
        self, launch: Launch, token: Token
    ) -> None:
        server = launch(AUDIOSTREAM_TRUSTED_PROXIES="127.0.0.1")
        await server.logs("the library has")
        forwarded = {
            "X-Forwarded-For": "203.0.113.9",
            "X-Forwarded-Proto": "https",
            "X-Forwarded-Host": "music.example",
        }
        async with ClientSession(server.url) as session:
            bearer = {"Authorization": f"Bearer {token()}"}
            async with session.post("/session", headers=forwarded | bearer) as answer:
                [cookie] = SimpleCookie(answer.headers["Set-Cookie"]).values()
            assert cookie.key.endswith("_443")
            sent = {"Cookie": f"{cookie.key}={cookie.value}"}
            for _ in range(3):  # the first opens the file, the others find it open
                headers = forwarded | sent | {"Range": "bytes=0-9"}
                async with session.get("/tracks/stream/song", headers=headers) as answer:
                    assert (answer.status, len(await answer.read())) == (206, 10)
        assert server.stop() == 0
        server.wait_for_end()
        lines = [line for line in server.log if "GET /tracks/stream/song" in line]
        assert len(lines) == 3
        assert all(" 203.0.113.9 " in line for line in lines), lines

    @pytest.mark.parametrize(
        ("trusted", "named"), [("127.0.0.0/8", "203.0.113.9"), ("", "127.0.0.1")]
    )
    async def test_the_access_log_has_the_address_of_the_client_behind_a_proxy(
        self, launch: Launch, trusted: str, named: str
    ) -> None:
        server = launch(AUDIOSTREAM_TRUSTED_PROXIES=trusted)
        async with ClientSession(server.url) as session:
            for path in ("/healthz", "/nowhere", "/tracks"):
                headers = {"X-Forwarded-For": "6.6.6.6, 203.0.113.9"}
                async with session.get(path, headers=headers) as answer:
                    await answer.read()
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"NONSENSE\r\n\r\n")
        await reader.read()
        writer.close()
        assert server.stop() == 0
        server.wait_for_end()
        lines = [line for line in server.log if "aiohttp.access" in line]
        assert len([line for line in lines if f" {named} " in line]) >= 3, lines
        assert not any("6.6.6.6" in line for line in lines)

"""Proxies that ask for others: who is believed, about whom, and where it counts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from http.cookies import SimpleCookie
from typing import Any

import pytest
from aiohttp import ClientSession, WSServerHandshakeError
from hypothesis import given
from hypothesis import strategies as st

from audiostream.ops.proxies import UNIX, Client, Proxies
from audiostream.settings import Limits
from tests.conftest import Serve
from tests.support.server_process import Launch
from tests.support.ws_client import connect

Token = Callable[..., str]
TRUSTED = ("127.0.0.1/32", "10.0.0.0/8", "2001:db8::/32", UNIX)
HERE = ("127.0.0.1",)
DIRECT = Client("127.0.0.1", False, "inner:3000")


def seen(
    fields: dict[str, str], peer: str | None = "127.0.0.1", trusted: tuple[str, ...] = TRUSTED
) -> Client:
    """Whom the server sees in a request without TLS to ``inner:3000``."""
    folded = {name.lower(): value for name, value in fields.items()}
    return Proxies(trusted).client(peer, False, "inner:3000", lambda name: folded.get(name, ""))


@pytest.mark.parametrize(
    ("forwarded_for", "address"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("203.0.113.9, 10.1.2.3", "203.0.113.9"),
        ("6.6.6.6, 203.0.113.9, 10.1.2.3,10.0.0.1", "203.0.113.9"),
        ("10.0.0.2, 10.0.0.1", "10.0.0.2"),
        ("203.0.113.9:4711", "203.0.113.9"),
        ("2001:0db9::0001", "2001:db9::1"),
        ("[2001:db9::1]:4711, 2001:db8::5", "2001:db9::1"),
        ("[2001:db9::1]", "2001:db9::1"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("203.0.113.9, ::ffff:10.0.0.1", "203.0.113.9"),
        ("", "127.0.0.1"),
        ("unknown", "127.0.0.1"),
        ("203.0.113.9, nonsense", "127.0.0.1"),
        ("203.0.113.9, nonsense, 10.0.0.7", "10.0.0.7"),
        ("203.0.113.9,", "127.0.0.1"),
        ("203.0.113.9 10.0.0.1", "127.0.0.1"),
        ("1.2.3.4.5", "127.0.0.1"),
        ("256.1.1.1", "127.0.0.1"),
        ("[::1", "127.0.0.1"),
    ],
)
def test_the_client_is_the_rightmost_address_that_is_no_trusted_proxy_s(
    forwarded_for: str, address: str
) -> None:
    assert seen({"X-Forwarded-For": forwarded_for}).address == address


@pytest.mark.parametrize(
    ("fields", "client"),
    [
        ({"X-Forwarded-Proto": "https"}, Client("127.0.0.1", True, "inner:3000")),
        ({"X-Forwarded-Proto": "WSS"}, Client("127.0.0.1", True, "inner:3000")),
        ({"X-Forwarded-Proto": "gopher"}, DIRECT),
        ({"X-Forwarded-Host": "music.example"}, Client("127.0.0.1", False, "music.example")),
        ({"X-Forwarded-Host": "[::1]:8443"}, Client("127.0.0.1", False, "[::1]:8443")),
        ({"X-Forwarded-Host": "a b"}, DIRECT),
        ({"X-Forwarded-Host": "music.example/path"}, DIRECT),
        (
            {
                "X-Forwarded-For": "6.6.6.6, 203.0.113.9, 10.0.0.1",
                "X-Forwarded-Proto": "http, https, http",
                "X-Forwarded-Host": "evil.example, music.example, inner",
            },
            Client("203.0.113.9", True, "music.example"),
        ),
        (
            {"X-Forwarded-For": "203.0.113.9, 10.0.0.1", "X-Forwarded-Proto": "https"},
            Client("203.0.113.9", True, "inner:3000"),
        ),
    ],
)
def test_scheme_and_host_are_those_that_the_outermost_trusted_proxy_saw(
    fields: dict[str, str], client: Client
) -> None:
    assert seen(fields) == client


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        ("for=203.0.113.9", Client("203.0.113.9", False, "inner:3000")),
        (
            'for=6.6.6.6, FOR="[2001:db9::1]:47011"; Proto=https;host="music.example:8443"',
            Client("2001:db9::1", True, "music.example:8443"),
        ),
        (
            "for=203.0.113.9;proto=https;by=10.0.0.9, for=10.0.0.9;proto=http",
            Client("203.0.113.9", True, "inner:3000"),
        ),
        ('for="_hidden";proto=https', Client("127.0.0.1", True, "inner:3000")),
        ('for=", for=203.0.113.9', Client("203.0.113.9", False, "inner:3000")),
        ("for=203.0.113.9;for=6.6.6.6", DIRECT),
        ("for", DIRECT),
        (";;;", DIRECT),
    ],
)
def test_forwarded_is_parsed_like_the_x_forwarded_headers(forwarded: str, client: Client) -> None:
    assert seen({"Forwarded": forwarded}) == client


def test_forwarded_is_ignored_beside_the_x_forwarded_headers() -> None:
    by_client = {"Forwarded": "for=6.6.6.6;proto=https;host=evil.example"}
    assert seen(by_client | {"X-Forwarded-For": "203.0.113.9"}).address == "203.0.113.9"
    assert seen(by_client | {"X-Forwarded-Proto": "http"}) == DIRECT


@pytest.mark.parametrize("peer", ["192.0.2.1", "2001:db9::1", "::1", None, ""])
def test_forwarding_headers_of_an_untrusted_peer_are_ignored(peer: str | None) -> None:
    fields = {
        "X-Forwarded-For": "203.0.113.9",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "music.example",
        "Forwarded": "for=203.0.113.9;proto=https",
    }
    found = seen(fields, peer, ("127.0.0.1/32", "10.0.0.0/8"))
    assert (found.is_tls, found.host) == (False, "inner:3000")
    assert found.address == {None: "unknown", "": UNIX}.get(peer, peer)


@pytest.mark.parametrize("peer", ["10.2.3.4", "::ffff:10.2.3.4", "2001:db8::5", "", "/run/client"])
def test_trusted_proxies_may_be_networks_mapped_addresses_and_unix_sockets(peer: str) -> None:
    assert seen({"X-Forwarded-For": "203.0.113.9"}, peer).address == "203.0.113.9"


def test_an_address_with_a_zone_belongs_to_its_network() -> None:
    fields = {"X-Forwarded-For": "203.0.113.9"}
    assert seen(fields, "fe80::1%eth0", ("fe80::/10",)).address == "203.0.113.9"


_texts = st.text(st.sampled_from('0123456789abf.:[]"%=;, \t\\/_for@é\x00'), max_size=40)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            name: st.one_of(_texts, st.text(max_size=20))
            for name in ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "forwarded")
        },
    ),
    st.one_of(st.none(), _texts, st.sampled_from(["127.0.0.1", "::1", ""])),
)
def test_no_forwarding_header_raises(fields: dict[str, str], peer: str | None) -> None:
    assert " " not in seen(fields, peer).host


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
                await phone.heard_nothing()
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

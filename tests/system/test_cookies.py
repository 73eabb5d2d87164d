"""The session cookie of servers that a browser knows under one host."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
from aiohttp import ClientSession, CookieJar, web

from audiostream import Settings, create_app
from audiostream.app import tokens_of
from audiostream.services import SERVICES
from tests.conftest import SECRET, Launch

OTHER_SECRET = "another secret of more than 32 bytes"


@dataclass
class Site:
    """One server as a browser sees it: its address, and a token for it."""

    base: str
    token: str
    headers: dict[str, str]

    async def sign_in(self, browser: ClientSession) -> None:
        headers = {"Authorization": f"Bearer {self.token}", **self.headers}
        async with browser.post(f"{self.base}/api/session", headers=headers) as answer:
            assert answer.status == 204

    async def sign_out(self, browser: ClientSession) -> None:
        async with browser.delete(f"{self.base}/api/session", headers=self.headers) as answer:
            assert answer.status == 204

    async def status(self, browser: ClientSession, track: str = "song") -> int:
        """Of a range, as an ``<audio>`` element asks for it: with cookies alone."""
        url = f"{self.base}/api/tracks/stream/{track}"
        headers = {"Range": "bytes=0-99", **self.headers}
        async with browser.get(url, headers=headers) as answer:
            await answer.read()
            return answer.status


@asynccontextmanager
async def browser() -> AsyncIterator[ClientSession]:
    """Keeps cookies as browsers do: by host and path, whatever the port."""
    async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as session:
        yield session


@pytest.fixture
async def listening(settings: Settings) -> AsyncIterator[Callable[..., Any]]:
    """Serve applications on free ports of 127.0.0.1 and answer the addresses."""
    async with AsyncExitStack() as stack:

        async def listen(app: web.Application) -> str:
            runner = web.AppRunner(app)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            return f"http://127.0.0.1:{runner.addresses[0][1]}"

        yield listen


def application(settings: Settings, secret: str) -> web.Application:
    app = create_app(replace(settings, jwt_secret=secret))
    app[SERVICES].library.scan()
    return app


def token_for(settings: Settings, secret: str, user: str) -> str:
    return tokens_of(replace(settings, jwt_secret=secret)).mint(user, 1_700_000_000.0, None)


async def all_stream(*sites: Site, track: str = "song") -> None:
    """Sign in at each in turn; whoever was signed in before streams on."""
    async with browser() as session:
        for number, site in enumerate(sites):
            await site.sign_in(session)
            for known in sites[: number + 1]:
                assert await known.status(session, track) == 206


@pytest.mark.parametrize("secrets", [(SECRET, OTHER_SECRET), (SECRET, SECRET)])
async def test_two_servers_on_two_ports_of_one_host_both_stream(
    launch: Launch, settings: Settings, secrets: tuple[str, str]
) -> None:
    sites = []
    for secret in secrets:
        server = launch(JWT_SECRET=secret)
        await server.logs("the library has")
        sites.append(Site(server.url, token_for(settings, secret, "ada"), {}))
    await all_stream(*sites)


async def test_two_users_at_two_servers_of_one_secret_stream_what_is_theirs(
    listening: Callable[..., Any], settings: Settings
) -> None:
    bases = [await listening(application(settings, SECRET)) for _ in range(2)]
    ada, bob = (
        Site(base, token_for(settings, SECRET, user), {})
        for base, user in zip(bases, ("ada", "bob"), strict=True)
    )
    async with browser() as session:
        await ada.sign_in(session)
        await bob.sign_in(session)
        assert (await ada.status(session, "hers"), await bob.status(session, "his")) == (206, 206)
        assert (await ada.status(session, "his"), await bob.status(session, "hers")) == (404, 404)


async def test_to_sign_out_at_one_is_not_to_sign_out_at_the_other(
    listening: Callable[..., Any], settings: Settings
) -> None:
    bases = [await listening(application(settings, SECRET)) for _ in range(2)]
    one, two = (Site(base, token_for(settings, SECRET, "ada"), {}) for base in bases)
    async with browser() as session:
        await one.sign_in(session)
        await two.sign_in(session)
        await one.sign_out(session)
        assert (await one.status(session), await two.status(session)) == (401, 206)


@pytest.mark.parametrize("secrets", [(SECRET, OTHER_SECRET), (SECRET, SECRET)])
async def test_servers_mounted_in_one_application_both_stream(
    listening: Callable[..., Any], settings: Settings, secrets: tuple[str, str]
) -> None:
    outer = web.Application()
    mounted = dict(zip(("/music", "/music/deeper"), secrets, strict=True))
    for prefix in sorted(mounted, key=len, reverse=True):
        outer.add_subapp(prefix, application(settings, mounted[prefix]))
    base = await listening(outer)
    await all_stream(
        *(
            Site(base + prefix, token_for(settings, secret, "ada"), {})
            for prefix, secret in mounted.items()
        )
    )


@pytest.mark.parametrize(
    "hosts",
    [
        ("music.example:8443", "music.example:9443"),
        ("music.example", "music.example:8080"),
        ("[2001:db8::1]:3000", "[2001:db8::1]:3001"),
    ],
)
async def test_behind_a_proxy_the_port_is_the_one_that_the_browser_names(
    listening: Callable[..., Any], settings: Settings, hosts: tuple[str, str]
) -> None:
    base = await listening(application(settings, SECRET))
    forwarded = {"X-Forwarded-Proto": "http"}
    ada = token_for(settings, SECRET, "ada")
    await all_stream(*(Site(base, ada, {"Host": host, **forwarded}) for host in hosts))


async def test_default_ports_of_http_and_https_have_cookies_of_their_own(
    settings: Settings,
) -> None:
    cookie = application(settings, SECRET)[SERVICES].session_cookie
    names = {cookie.name("music.example", is_tls=is_tls) for is_tls in (False, True)}
    assert len(names) == 2
    assert cookie.name("music.example:443", is_tls=True) in names
    assert cookie.name("music.example:80", is_tls=False) in names


@pytest.mark.parametrize("host", ["", ":", "x:", "x:port", "x:123456", "[::1]", "x: 1", "x:1\n"])
async def test_a_host_that_names_no_port_has_the_default_one(settings: Settings, host: str) -> None:
    cookie = application(settings, SECRET)[SERVICES].session_cookie
    assert cookie.name(host, is_tls=False) == cookie.name("x:80", is_tls=False)


async def test_the_cookie_of_an_older_version_is_not_looked_at(
    listening: Callable[..., Any], settings: Settings
) -> None:
    base = await listening(application(settings, SECRET))
    site = Site(base, token_for(settings, SECRET, "ada"), {})
    async with browser() as session:
        session.cookie_jar.update_cookies({"audiostream_session": "1.YQ.abc"})
        assert await site.status(session) == 401
        await site.sign_in(session)
        assert await site.status(session) == 206

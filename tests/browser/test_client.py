"""client.js in the browser: a page written for socket.io-client plays, follows and comes back.

The page is the specification's own player (``pages.SPECIFICATION``). It runs on our client, and on
the npm package itself where the server has the endpoint for it.
"""

from __future__ import annotations

import asyncio
import gzip
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, WebSocketRoute

from tests.support.long_tests import times
from tests.support.server_process import Launch, ServerProcess

from . import pages
from .conftest import SAMPLES

Token = Callable[..., str]
WEB = Path(__file__).parent.parent.parent / "audiostream/web"
LONGEST = "First Light"
PATIENCE = 30_000.0
"""Milliseconds for what must come."""
PROMPT = 500.0
"""Milliseconds in which an act in one tab is one in the other: what the product promises."""
SLOWEST = 5_000.0
"""The same for the slowest act of many on a busy machine."""
PAUSES = times(50)
LISTENED = times(15)
"""Seconds for which audio is measured."""
SILENT = 1.0
"""Seconds that a busy machine may take from the audio."""
PLAYED = "!audio.paused && audio.currentTime > 0.3"


@dataclass(frozen=True, slots=True)
class Site:
    """A server, and how its pages reach it."""

    server: ServerProcess
    client: str
    browser: Browser
    node_modules: Path | None
    token: Token

    @property
    def url(self) -> str:
        return self.server.url

    async def context(self, user: str) -> BrowserContext:
        context = await self.browser.new_context(permissions=pages.PERMISSIONS)
        context.set_default_timeout(PATIENCE)
        await pages.serve(context, self.url, self.client, self.node_modules)
        if self.client == pages.BUNDLE:  # the package knows nothing of our cookie
            headers = {"Authorization": f"Bearer {self.token(user)}"}
            await context.request.post(f"{self.url}/session", headers=headers)
        return context

    async def player(self, context: BrowserContext, user: str) -> Page:
        page = await pages.opened(context, f"{self.url}/spec.html", self.token(user))
        await page.wait_for_function("socket.connected")
        return page

    async def tab_that_plays(self, user: str) -> Page:
        page = await self.player(await self.context(user), user)
        await page.evaluate("id => playTrack(id)", await self.track(page, user))
        await page.wait_for_function(PLAYED)
        return page

    async def tabs_that_play(self, user: str) -> tuple[Page, Page]:
        """Two tabs of one browser; the second came later and asked for the state."""
        first = await self.tab_that_plays(user)
        second = await self.player(first.context, user)
        await second.evaluate("() => { socket.emit('getCurrentState'); }")
        await second.wait_for_function(PLAYED)
        return first, second

    async def track(self, page: Page, user: str) -> str:
        headers = {"Authorization": f"Bearer {self.token(user)}"}
        answer = await page.context.request.get(
            f"{self.url}/tracks", headers=headers, params={"q": LONGEST}
        )
        (track,) = (await answer.json())["tracks"]
        found: str = track["id"]
        return found

    async def state(self, page: Page, user: str) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.token(user)}"}
        answer = await page.context.request.get(f"{self.url}/tracks/current-state", headers=headers)
        state: dict[str, Any] = await answer.json()
        return state


async def _site(
    transport: str, server: ServerProcess, browser: Browser, token: Token, request: Any
) -> Site:
    if transport == "native":
        return Site(server, pages.CLIENT, browser, None, token)
    pytest.importorskip("socketio")
    context = await browser.new_context()
    answer = await context.request.get(f"{server.url}/socket.io/?EIO=4&transport=polling")
    await context.close()
    if answer.status == 404:
        pytest.skip("the server has no Socket.IO endpoint")
    node_modules = request.getfixturevalue("node_modules")
    return Site(server, pages.BUNDLE, browser, node_modules, token)


@pytest_asyncio.fixture(params=["native", "socketio"], loop_scope="session")
async def site(request: Any, server: ServerProcess, browser: Browser, token: Token) -> Site:
    """The sample music, for a page on our client and for one on the npm package."""
    return await _site(request.param, server, browser, token, request)


@pytest_asyncio.fixture(loop_scope="session")
async def bench(server: ServerProcess, browser: Browser, token: Token) -> Page:
    """A page that has our client at hand, and is not connected yet."""
    return await _bench(server, browser, token)


@pytest.fixture
def own_server(launch: Launch) -> ServerProcess:
    """A server of the test alone, which may end it."""
    return launch("--media", str(SAMPLES))


@pytest_asyncio.fixture(loop_scope="session")
async def own_bench(own_server: ServerProcess, browser: Browser, token: Token) -> Page:
    """The same as ``bench`` on ``own_server``."""
    return await _bench(own_server, browser, token)


async def _bench(server: ServerProcess, browser: Browser, token: Token) -> Page:
    site = Site(server, pages.CLIENT, browser, None, token)
    context = await site.context("demo")
    return await pages.opened(context, f"{site.url}/bench.html", token("demo"))


async def run(page: Page, script: str, argument: Any = None) -> Any:
    """What a script in the page answers; a promise that is never kept is a failure."""
    async with asyncio.timeout(PATIENCE / 1000):
        return await page.evaluate(script, argument)


async def while_listened(page: Page) -> dict[str, float]:
    """Seconds of audio that were not played in ``LISTENED``, and the seeks."""
    measured: dict[str, float] = await page.evaluate(
        """async (seconds) => {
          const from = happened.length, position = audio.currentTime, started = performance.now();
          await wait(1000 * seconds);
          const elapsed = (performance.now() - started) / 1000;
          const seeks = happened.slice(from).filter(([, what]) => what === "seeking").length;
          return { silent: elapsed - (audio.currentTime - position), seeks };
        }""",
        LISTENED,
    )
    return measured


async def test_audio_plays_without_a_seek_in_one_tab_and_in_two(site: Site) -> None:
    alone, pair = await asyncio.gather(site.tab_that_plays("ada"), site.tabs_that_play("bob"))
    for measured in await asyncio.gather(*map(while_listened, (alone, *pair))):
        assert measured["silent"] <= SILENT
        assert measured["seeks"] <= 1


async def last_did(page: Page, what: str) -> None:
    """Wait until that is what the page's player did last."""
    await page.wait_for_function(
        "what => happened.findLast(([, did]) => did === 'play' || did === 'pause')?.[1] === what",
        arg=what,
        polling=20,
    )


async def test_a_pause_in_one_tab_pauses_the_other_and_holds(site: Site) -> None:
    acting, following = await site.tabs_that_play("demo")
    both, acts = (acting, following), []
    for _ in range(PAUSES):
        paused = await acting.evaluate("const at = now(); pauseTrack(); at")
        await asyncio.gather(*(last_did(page, "pause") for page in both))
        await asyncio.sleep(0.25)
        played = await acting.evaluate(
            "const at = now(); playTrack(current(), audio.currentTime % 20); at"
        )
        await asyncio.gather(*(last_did(page, "play") for page in both))
        acts.append((paused, played))
    for page in both:
        happened = await page.evaluate("happened")
        took = []
        for paused, played in acts:
            acted = [
                (at - paused, what)
                for at, what, _ in happened
                if paused <= at < played and what in {"play", "pause"}
            ]
            assert [what for _, what in acted] == ["pause"], acted
            took.append(acted[0][0])
        assert median(took) <= PROMPT, took
        assert max(took) <= SLOWEST, took


async def test_a_seek_in_one_tab_moves_the_other(site: Site) -> None:
    acting, following = await site.tabs_that_play("demo")
    await following.wait_for_timeout(1000)
    at = await acting.evaluate("const at = now(); audio.currentTime = 20; at")
    for page in (acting, following):
        await page.wait_for_function("!audio.paused && audio.currentTime > 20.5")
    await following.wait_for_timeout(1000)
    own, moves = [
        [
            (when - at, position)
            for when, what, position in await page.evaluate("happened")
            if what == "seeking" and when >= at
        ]
        for page in (acting, following)
    ]
    assert moves[0][0] <= SLOWEST
    assert moves[0][1] == pytest.approx(20, abs=0.5)
    assert 1 <= len(own) <= 2


async def test_sound_goes_on_while_the_server_is_killed_and_comes_back(
    launch: Launch, browser: Browser, token: Token, tmp_path: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = ("--media", str(SAMPLES), "--state", str(tmp_path / "state"), "--port", str(port))
    server = launch(*arguments)
    server.wait_for_log("the library has")
    site = Site(server, pages.CLIENT, browser, None, token)
    page = await site.tab_that_plays("demo")
    await page.evaluate(
        """() => {
          happened.length = 0;
          window.places = [];
          setInterval(() => places.push([performance.now() / 1000, audio.currentTime]), 250);
        }"""
    )
    await page.wait_for_timeout(2000)
    server.process.send_signal(signal.SIGKILL)
    await page.wait_for_function("!socket.connected")
    await page.wait_for_timeout(1000)
    launch(*arguments).wait_for_log("the library has")
    await page.wait_for_function("socket.connected")
    await page.wait_for_timeout(3000)
    events = [what for _, what, _ in await page.evaluate("happened")]
    happened = [what for what in events if what != "waiting"]  # a busy machine is late
    away = happened[: happened.index("connect")]
    assert set(away) <= {"disconnect: transport close", "connect_error: websocket error"}
    assert happened[len(away) :] == ["connect"]  # it brings its playback back unmoved (R11)
    places = await page.evaluate("places")
    assert all(later >= earlier for (_, earlier), (_, later) in pairwise(places))
    (first, start), (last, end) = places[0], places[-1]
    assert last - first - (end - start) <= SILENT
    state, here = await asyncio.gather(site.state(page, "demo"), page.evaluate("audio.currentTime"))
    assert state["isPlaying"]
    assert state["currentTime"] == pytest.approx(here, abs=1.5)


def test_client_js_and_its_parts_are_less_than_10_kib_compressed() -> None:
    files = [WEB / "client.js", *(WEB / "js/client").iterdir()]
    assert sum(len(gzip.compress(file.read_bytes())) for file in files) < 10 * 1024


async def test_the_exports_of_client_js_are_those_of_socket_io_client(bench: Page) -> None:
    assert (
        await run(
            bench,
            """[io === named, io === connect, io === io.connect, io.Manager === Manager,
            io({ autoConnect: false }) instanceof Socket]""",
        )
        == [True] * 5
    )


async def test_acknowledgements_get_the_answer_or_an_error_or_time_out(bench: Page) -> None:
    answers = await run(
        bench,
        """async () => {
          const socket = io({ auth: { token } });
          const heard = [];
          socket.on("trackState", () => heard.push("trackState"));
          const refused = next(socket, "error");
          const nothing = { trackId: "nothing" };
          const answers = {
            called: await new Promise((done) => socket.emit("getCurrentState", done)),
            promised: await socket.emitWithAck("getCurrentState"),
            refused: await socket.emitWithAck("playTrack", nothing),
            inTime: await new Promise((done) =>
              socket.timeout(5000).emit("getCurrentState", {}, (...args) => done(args))),
            promisedInTime: await socket.timeout(5000).emitWithAck("getCurrentState"),
            event: (await refused)[0],
            heard,
          };
          socket.disconnect();
          const late = socket.timeout(50).emitWithAck("getCurrentState");
          answers.late = await late.catch((error) => error.message);
          answers.lateCall = await new Promise((done) =>
            socket.timeout(50).emit("getCurrentState", (error) => done(error.message)));
          answers.stillBuffered = socket.sendBuffer.length;
          return answers;
        }""",
    )
    for state in ("called", "promised", "promisedInTime"):
        assert answers[state]["trackId"] is None
    assert answers["inTime"][0] is None
    assert answers["inTime"][1]["trackId"] is None
    assert answers["refused"]["error"]["code"] == answers["event"]["code"] == "track_not_found"
    assert answers["heard"] == ["trackState"] * 4
    assert answers["late"] == answers["lateCall"] == "operation has timed out"
    assert answers["stillBuffered"] == 0


async def test_an_acknowledgement_is_rejected_when_the_connection_is_lost(bench: Page) -> None:
    assert (
        await run(
            bench,
            """async () => {
              const socket = io({ auth: { token } });
              await next(socket, "connect");
              const answer = socket.emitWithAck("getCurrentState");
              socket.disconnect();
              return answer.catch((error) => error.message);
            }""",
        )
        == "socket has been disconnected"
    )


async def test_listeners_are_called_in_their_order_until_they_are_removed(bench: Page) -> None:
    calls = await run(
        bench,
        """async () => {
          const socket = io({ auth: { token } });
          const calls = [];
          const [a, b, c] = ["a", "b", "c"].map((name) => () => calls.push(name));
          const any = (event, data) => calls.push(`any ${event} ${data.trackId}`);
          const state = () => socket.emitWithAck("getCurrentState").then(() => calls.splice(0));
          socket.on("trackState", a).on("trackState", b).once("trackState", c).onAny(any);
          const rounds = [await state(), await state()];
          socket.off("trackState", a).once("trackState", c).off("trackState", c);
          rounds.push(await state());
          socket.off("trackState").offAny(any);
          rounds.push(await state());
          socket.on("trackState", a).onAny(any).off().offAny();
          rounds.push(await state());
          try {
            socket.emit("connect");
          } catch (error) {
            rounds.push(error.message);
          }
          return rounds;
        }""",
    )
    assert calls == [
        ["any trackState null", "a", "b", "c"],
        ["any trackState null", "a", "b"],
        ["any trackState null", "b"],
        [],
        [],
        '"connect" is a reserved event name',
    ]


async def test_commands_are_buffered_without_a_connection_and_reports_are_dropped(
    bench: Page,
) -> None:
    waiting, sent = await run(
        bench,
        """async () => {
          const socket = io({ auth: { token }, autoConnect: false });
          const answered = new Promise((done) => socket.emit("pauseTrack", { trackId: "a" }, done));
          socket.emit("updateStreaming", { trackId: "b", currentTime: 1, isPlaying: true });
          socket.volatile.emit("playTrack", { trackId: "c" });
          const waiting = socket.sendBuffer.map(({ event }) => event);
          socket.connect();
          return [waiting, (await answered).error.code];
        }""",
    )
    assert waiting == ["pauseTrack"]
    assert sent == "track_not_found"


async def test_commands_of_two_sockets_at_once_both_take_effect(
    bench: Page, server: ServerProcess, token: Token
) -> None:
    track = await Site(server, pages.CLIENT, None, None, token).track(bench, "demo")  # type: ignore[arg-type]
    found = await run(
        bench,
        """async (trackId) => {
          const [one, other] = [io({ auth: { token } }), io({ auth: { token } })];
          const rounds = [];
          await one.emitWithAck("playTrack", { trackId });
          const { rev } = await other.emitWithAck("getCurrentState");
          for (let round = 0; round < 8; round++) {
            const [a, b] = await Promise.all([
              one.emitWithAck("playTrack", { trackId }),
              other.emitWithAck("pauseTrack", { trackId }),
            ]);
            rounds.push(a.error ?? b.error ?? null);
          }
          const refused = await one.emitWithAck("playTrack", { trackId, ifRev: rev });
          const end = await one.emitWithAck("getCurrentState");
          return [rounds.filter((error) => error), end.rev - rev, refused.error.code];
        }""",
        track,
    )
    assert found == [[], 16, "conflict"]


async def test_a_refused_token_is_a_connect_error_and_not_retried(bench: Page) -> None:
    found = await run(
        bench,
        """async () => {
          const socket = io({ auth: { token: "nonsense" }, reconnectionDelay: 10 });
          let attempts = 0;
          socket.io.on("reconnect_attempt", () => (attempts += 1));
          const [error] = await next(socket, "connect_error");
          const active = socket.active;
          await wait(300);
          socket.auth = { token: `Bearer ${token}` };
          socket.connect();
          await next(socket, "connect");
          return [error instanceof Error, error.data.code, active, attempts, socket.connected];
        }""",
    )
    assert found == [True, "unauthorized", False, 0, True]


async def test_a_refused_device_name_is_a_connect_error_and_not_retried(bench: Page) -> None:
    found = await run(
        bench,
        """async () => {
          const socket = io({ auth: { token, deviceName: "\\u0007" }, reconnectionDelay: 10 });
          const [error] = await next(socket, "connect_error");
          const active = socket.active;
          socket.auth = { token, deviceName: "MacBook\\u00a0Pro" };
          socket.connect();
          await next(socket, "connect");
          return [error.data.code, error.message.includes("deviceName"), active, socket.connected];
        }""",
    )
    assert found == ["invalid_message", True, False, True]


async def test_the_token_may_be_in_the_query(bench: Page) -> None:
    assert await run(
        bench,
        """async () => {
          const sockets = [io({ query: { token } }), io(`/?token=${token}`),
            io(location.host, { query: { token }, transports: ["websocket"], path: "/x" })];
          await Promise.all(sockets.map((socket) => next(socket, "connect")));
          return sockets.every((socket) => socket.connected && socket.id);
        }""",
    )


async def test_an_expiring_token_is_renewed_without_a_disconnect(bench: Page, token: Token) -> None:
    found = await run(
        bench,
        """async (tokens) => {
          let asked = 0, losses = 0;
          const socket = io({ auth: (give) => give({ token: tokens[Math.min(asked++, 1)] }) });
          socket.on("disconnect", () => (losses += 1));
          await next(socket, "tokenExpiring");
          await wait(3500);
          const { trackId } = await socket.emitWithAck("getCurrentState");
          return [asked, losses, trackId];
        }""",
        [token("demo", 3), token("demo", 3600)],
    )
    assert found == [2, 0, None]


async def test_a_client_whose_token_expired_reconnects_with_another(
    bench: Page, token: Token
) -> None:
    found = await run(
        bench,
        """async (tokens) => {
          const auth = (give) => give({ token: tokens[0] });
          const socket = io({ auth, reconnectionDelay: 100 });
          await next(socket, "connect");
          const first = socket.id;
          const [reason] = await next(socket, "disconnect");
          const away = [socket.disconnected, socket.active, socket.id];
          tokens.shift();
          const [[attempt]] = await Promise.all(
            [next(socket.io, "reconnect"), next(socket, "connect")]);
          return [reason, away, attempt, socket.id !== first];
        }""",
        [token("demo", 3), token("demo", 3600)],
    )
    assert found == ["io server disconnect", [True, True, None], 1, True]


async def test_closing_a_socket_dispatches_disconnect_and_ends_reconnection(bench: Page) -> None:
    found = await run(
        bench,
        """async () => {
          const socket = io({ auth: { token } });
          await next(socket, "connect");
          const lost = next(socket, "disconnect");
          socket.close();
          const [reason] = await lost;
          return [reason, socket.connected, socket.active];
        }""",
    )
    assert found == ["io client disconnect", False, False]


async def test_an_absent_server_is_tried_reconnection_attempts_times(
    own_bench: Page, own_server: ServerProcess
) -> None:
    own_server.stop()
    found = await run(
        own_bench,
        """async () => {
          const socket = io({ auth: { token }, reconnectionAttempts: 3, reconnectionDelay: 10 });
          const said = [];
          socket.on("connect_error", (error) => said.push(error.message));
          for (const event of ["reconnect_attempt", "reconnect_error"]) {
            socket.io.on(event, (what) => said.push(`${event} ${what.message ?? what}`));
          }
          await next(socket.io, "reconnect_failed");
          return said;
        }""",
    )
    again = "reconnect_error websocket error", "websocket error"
    assert found == [
        "websocket error",
        *("reconnect_attempt 1", *again),
        *("reconnect_attempt 2", *again),
        *("reconnect_attempt 3", *again),
    ]


async def test_a_close_code_of_the_server_is_in_the_details_of_disconnect(
    bench: Page, token: Token
) -> None:
    found = await run(
        bench,
        """async (token) => {
          const socket = io({ auth: { token } });
          await next(socket, "connect");
          const [reason, details] = await next(socket, "disconnect");
          socket.close();
          return [reason, details.context.code, details.description];
        }""",
        token("demo", 3),
    )
    assert found == ["io server disconnect", 4401, "the token has expired"]


async def test_without_a_session_no_cookie_is_set(bench: Page) -> None:
    cookies = []
    for options in ("{ auth: { token }, session: false }", "{ auth: { token } }"):
        await run(bench, f"() => next(io({options}), 'connect').then(() => null)")
        cookies.append(len(await bench.context.cookies()))
    assert cookies == [0, 1]


async def test_retry_reconnects_before_the_delay_is_over(
    own_bench: Page, own_server: ServerProcess, launch: Launch
) -> None:
    await run(
        own_bench,
        """async () => {
          window.socket = io({ auth: { token }, reconnectionDelay: 600_000,
            reconnectionDelayMax: 600_000 });
          await next(socket, "connect");
        }""",
    )
    own_server.process.kill()
    own_server.process.wait()
    await own_bench.wait_for_function("!socket.connected")
    launch("--media", str(SAMPLES), "--port", str(own_server.port))
    assert await run(own_bench, "next((socket.io.retry(), socket), 'connect').then(() => true)")


@dataclass
class DeadNetwork:
    """A page with a socket, whose network dies without a close once ``is_dead``."""

    page: Page
    is_dead: bool = False

    def carry(self, page_side: WebSocketRoute) -> None:
        server_side = page_side.connect_to_server()
        page_side.on_message(lambda text: None if self.is_dead else server_side.send(text))


async def dead_network(bench: Page, options: str) -> DeadNetwork:
    network = DeadNetwork(bench)
    await bench.context.route_web_socket("**/ws", network.carry)
    await bench.clock.install()
    await run(
        bench,
        f"""async () => {{
          window.reasons = [];
          window.socket = io({{ auth: {{ token }}, {options} }});
          socket.on("disconnect", (reason) => reasons.push(reason));
          await next(socket, "connect");
        }}""",
    )
    return network


async def test_a_connection_that_died_without_a_close_is_noticed_within_ten_seconds(
    bench: Page,
) -> None:
    network = await dead_network(bench, "")
    await bench.clock.run_for(6_000)
    assert await run(bench, "socket.emitWithAck('getCurrentState').then(() => true)")
    network.is_dead = True
    await bench.clock.run_for(10_000)
    assert await bench.evaluate("reasons") == ["ping timeout"]
    network.is_dead = False
    await bench.clock.run_for(6_000)
    await bench.wait_for_function("socket.connected")


async def test_a_dead_connection_is_noticed_after_ping_interval_and_ping_timeout(
    bench: Page,
) -> None:
    network = await dead_network(bench, "pingInterval: 1000, pingTimeout: 2000")
    assert await bench.evaluate("socket.responding")
    network.is_dead = True
    await bench.clock.run_for(2_500)
    assert await bench.evaluate("[socket.connected, socket.responding]") == [True, False]
    await bench.clock.run_for(1_000)
    assert await bench.evaluate("reasons") == ["ping timeout"]

"""client.js in the browser: refusals, renewals, reconnection, and a network that is dead."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from playwright.async_api import Page, WebSocketRoute

from tests.support.server_process import Launch, ServerProcess

from .client_site import run
from .conftest import SAMPLES

Token = Callable[..., str]


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

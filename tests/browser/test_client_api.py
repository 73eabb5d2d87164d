"""client.js in the browser has the interface of socket.io-client."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

from playwright.async_api import Page

from tests.support.server_process import ServerProcess

from . import pages
from .client_site import Site, run

Token = Callable[..., str]
WEB = Path(__file__).parent.parent.parent / "audiostream/web"


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

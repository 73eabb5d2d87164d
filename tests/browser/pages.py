"""Pages that tests serve on the server's own origin, written as an application would be."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from playwright.async_api import BrowserContext, Page, Request, Route

CLIENT = "/client.js"
"""Our client's path on the server."""
BUNDLE = "/socket.io.esm.min.js"
"""Where the npm package's own bundle is served."""
PACKAGE = "socket.io-client/dist/socket.io.esm.min.js"
PERMISSIONS = ("local-network-access",)
"""A page that does not come from the network is not taken to be this machine's own."""

HEAD = """<!doctype html>
<meta charset="utf-8">
<title>A page of an application</title>
<link rel="icon" href="/icon.svg">
<script type="importmap">{"imports": {"socket.io-client": "%s"}}</script>
"""

SPECIFICATION = """
<script type="module">
import { io } from "socket.io-client";

/** What happened here: [epoch milliseconds, what, position]. */
window.happened = [];
const now = () => performance.timeOrigin + performance.now();
const note = (what) => window.happened.push([now(), what, audio.currentTime]);

const { token } = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
const audio = new Audio();
const socket = io(location.origin.replace("http", "ws"), { auth: { token } });
let current = null;

const play = () => audio.play().catch(() => {});
const load = ({ trackId, currentTime }) => {
  current = trackId;
  audio.src = `/api/tracks/stream/${trackId}`;
  audio.currentTime = currentTime;
  play();
};

socket.on("trackPlaying", (data) => data.track && load(data));
socket.on("trackState", (data) => data.isPlaying && data.trackId && load(data));
socket.on("trackPaused", () => audio.pause());
socket.on("trackUpdated", (data) => {
  audio.currentTime = data.currentTime;
  data.isPlaying ? play() : audio.pause();
});
audio.addEventListener("timeupdate", () => {
  if (!current) return;
  socket.emit("updateStreaming", {
    trackId: current,
    userId: "whoever",
    currentTime: audio.currentTime,
    isPlaying: !audio.paused,
  });
});

for (const event of ["play", "pause", "seeking", "waiting", "error"]) {
  audio.addEventListener(event, () => note(event));
}
socket.on("connect", () => note("connect"));
socket.on("disconnect", (reason) => note(`disconnect: ${reason}`));
socket.on("connect_error", (error) => note(`connect_error: ${error.message}`));

Object.assign(window, {
  audio,
  socket,
  now,
  playTrack: (trackId, currentTime = 0) =>
    socket.emit("playTrack", { trackId, userId: "whoever", currentTime }),
  pauseTrack: () => {
    const { currentTime } = audio;
    socket.emit("pauseTrack", { trackId: current, userId: "whoever", currentTime });
  },
  current: () => current,
  wait: (milliseconds) => new Promise((done) => setTimeout(done, milliseconds)),
});
</script>
"""
"""The specification's player: reports at every ``timeupdate``, goes where every state says."""

WORKBENCH = """
<script type="module">
import io, { io as named, connect, Manager, Socket } from "socket.io-client";

/** The next time that something happens, as its arguments. */
const next = (emitter, event) =>
  new Promise((done) => emitter.once(event, (...args) => done(args)));
const wait = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
const { token } = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
Object.assign(window, { io, named, connect, Manager, Socket, next, wait, token });
</script>
"""
"""A page with nothing but the client, for tests that try its parts."""


def html(source: str, client: str = CLIENT) -> str:
    """A whole page, with ``client`` for the package ``socket.io-client``."""
    return HEAD % client + source


async def serve(
    context: BrowserContext, origin: str, client: str, node_modules: Path | None
) -> None:
    """Let the context's pages find ``/spec.html`` and ``/bench.html`` on ``origin``."""

    async def answer(route: Route, request: Request) -> None:
        path = urlsplit(request.url).path
        if path == BUNDLE and node_modules is not None:
            await route.fulfill(path=node_modules / PACKAGE, content_type="text/javascript")
        else:
            source = {"/spec.html": SPECIFICATION, "/bench.html": WORKBENCH}[path]
            await route.fulfill(body=html(source, client), content_type="text/html")

    for path in ("/spec.html", "/bench.html", BUNDLE):
        await context.route(origin + path, answer)


async def opened(context: BrowserContext, address: str, token: str) -> Page:
    """A page whose script has run."""
    page = await context.new_page()
    await page.goto(f"{address}#token={token}")
    await page.wait_for_function("window.io || window.socket")
    return page

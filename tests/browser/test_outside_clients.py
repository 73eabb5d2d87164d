"""Programs that others wrote talk to the real server: WebSocket libraries, players, curl."""

from __future__ import annotations

import asyncio
import json
import subprocess
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.server_process import ServerProcess

from .conftest import SAMPLES
from .programs import program

Token = Callable[..., str]
LIMIT = 30.0

NODE_CLIENT = """
const WebSocket = require("ws");
const [url, token, trackId] = process.argv.slice(1);
const socket = new WebSocket(url, { headers: { Authorization: `Bearer ${token}` } });
const frames = ["playTrack", "getCurrentState", "pauseTrack"];
const next = () => {
  const event = frames.shift();
  if (!event) return socket.close();
  const data = event === "getCurrentState" ? undefined : { trackId };
  socket.send(JSON.stringify({ event, data, id: event }));
};
socket.on("open", next);
socket.on("message", (text) => { console.log(String(text)); next(); });
"""


@pytest.fixture
def track(server: ServerProcess, token: Token) -> dict[str, Any]:
    """The catalogue's entry of a sample that is MP3."""
    request = urllib.request.Request(
        f"{server.url}/tracks?q=First", headers={"Authorization": f"Bearer {token('demo')}"}
    )
    with urllib.request.urlopen(request, timeout=LIMIT) as answer:
        (found,) = json.load(answer)["tracks"]
    entry: dict[str, Any] = found
    return entry


def output(*command: str, **options: Any) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, **options)
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


def assert_conversation(frames: list[dict[str, Any]]) -> None:
    assert [(each["event"], each["id"]) for each in frames] == [
        ("trackPlaying", "playTrack"),
        ("trackState", "getCurrentState"),
        ("trackPaused", "pauseTrack"),
    ]
    assert [each["data"]["isPlaying"] for each in frames] == [True, True, False]


async def test_the_websockets_library_plays_asks_and_pauses(
    server: ServerProcess, token: Token, track: dict[str, Any]
) -> None:
    websockets = pytest.importorskip("websockets.asyncio.client")
    frames = []
    async with (
        asyncio.timeout(LIMIT),
        websockets.connect(
            server.url.replace("http", "ws") + "/ws",
            additional_headers={"Authorization": f"Bearer {token('demo')}"},
        ) as socket,
    ):
        for event in ("playTrack", "getCurrentState", "pauseTrack"):
            data = {} if event == "getCurrentState" else {"trackId": track["id"]}
            await socket.send(json.dumps({"event": event, "data": data, "id": event}))
            frames.append(json.loads(await socket.recv()))
    assert_conversation(frames)


def test_the_ws_package_of_node_plays_asks_and_pauses(
    server: ServerProcess, token: Token, track: dict[str, Any], node_modules: Path
) -> None:
    url = server.url.replace("http", "ws") + "/ws"
    shown = output(
        program("node"), "-e", NODE_CLIENT, url, token("demo"), track["id"], cwd=node_modules.parent
    )
    assert_conversation([json.loads(line) for line in shown.splitlines()])


def test_ffprobe_and_ffmpeg_open_the_stream_and_seek(
    server: ServerProcess, track: dict[str, Any]
) -> None:
    url = server.url + track["streamUrl"]
    shown = output(
        *(program("ffprobe"), "-v", "error", "-show_entries", "format=duration"),
        *("-of", "csv=p=0", url),
    )
    assert float(shown) == pytest.approx(track["duration"], abs=0.5)
    output(program("ffmpeg"), "-v", "error", "-xerror", "-ss", "20", "-i", url, "-f", "null", "-")


def test_mpv_plays_a_stream_from_its_middle(server: ServerProcess, track: dict[str, Any]) -> None:
    url = server.url + track["streamUrl"]
    output(
        *(program("mpv"), "--no-config", "--no-video", "--ao=null"),
        *("--start=20", "--length=1", url),
    )


def test_curl_resumes_a_stream_to_the_bytes_of_its_file(
    server: ServerProcess, track: dict[str, Any], tmp_path: Path
) -> None:
    curl, url = program("curl"), server.url + track["streamUrl"]
    whole = (SAMPLES / "first-light.mp3").read_bytes()
    resumed = tmp_path / "resumed.mp3"
    output(curl, "-fsS", "-r", "0-99999", "-o", str(resumed), url)
    assert resumed.read_bytes() == whole[:100_000]
    output(curl, "-fsS", "-C", "-", "-o", str(resumed), url)
    assert resumed.read_bytes() == whole

"""Every example in ``audiostream/examples``, run against a real server."""

from __future__ import annotations

import ast
import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer

from audiostream.client import Event, Player, connect
from audiostream.examples.embedded import kiosk
from tests.support.server_process import SECRET, Launch, ServerProcess

TIMEOUT = 10.0

Token = Callable[..., str]


@pytest.fixture
def server(launch: Launch) -> ServerProcess:
    server = launch()
    server.wait_for_log("the library has")
    return server


async def receive(player: Player, name: str) -> Event:
    """The next event of that name."""
    async with asyncio.timeout(TIMEOUT):
        async for event in player:
            if event.name == name:
                return event
    raise AssertionError(f"the player ended before {name}")


def test_the_raw_websocket_client_plays_and_pauses(server: ServerProcess, token: Token) -> None:
    shown = subprocess.run(
        [sys.executable, "-W", "error", "-m", "audiostream.examples.raw_websocket"],
        env=os.environ | {"TOKEN": token("demo"), "SERVER": server.url},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert shown.returncode == 0, shown.stderr
    playing, state, paused = (ast.literal_eval(line) for line in shown.stdout.splitlines())
    assert (playing["event"], playing["id"], playing["data"]["currentTime"]) == (
        "trackPlaying",
        1,
        0.0,
    )
    assert (state["event"], state["id"]) == ("trackState", 2)
    assert 1.0 <= state["data"]["currentTime"] < 5.0
    assert (paused["event"], paused["data"]["isPlaying"]) == ("trackPaused", False)


@asynccontextmanager
async def running(example: str, **environ: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A program until it is interrupted as by Ctrl+C; then it must have said nothing else."""
    # Whoever runs the tests in the background may have them ignore SIGINT.
    code = f"import runpy; runpy.run_module('audiostream.examples.{example}', run_name='__main__')"
    heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-c", heed + code),
        env=os.environ | environ,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield program
        program.send_signal(signal.SIGINT)
        async with asyncio.timeout(TIMEOUT):
            _, said = await program.communicate()
        assert said.strip().endswith(b"KeyboardInterrupt"), said.decode()
        assert b"Warning" not in said
        assert b"never" not in said
    finally:
        if program.returncode is None:
            os.killpg(program.pid, signal.SIGKILL)  # with what it has started
            await program.communicate()


async def test_the_pause_button_pauses_what_plays(server: ServerProcess, token: Token) -> None:
    async with (
        connect(server.url, token()) as player,
        running("pause_button", TOKEN=token(), SERVER=server.url) as button,
    ):
        await player.play("song", 5)
        assert button.stdin is not None
        assert button.stdout is not None
        button.stdin.write(b"\n")
        assert (await receive(player, "trackPaused")).state.position >= 5
        async with asyncio.timeout(TIMEOUT):
            assert (await button.stdout.readline()).startswith(b"paused at ")


FAKE_MPV = """#!/bin/sh
trap 'echo stopped >> "$PLAYED"; exit 0' TERM INT
echo $$ > "$PLAYED.pid"
echo "$*" >> "$PLAYED"
while :; do sleep 0.05; done
"""


async def test_the_mpv_kiosk_plays_what_another_device_plays(
    server: ServerProcess, token: Token, tmp_path: Path
) -> None:
    folder, played = tmp_path / "bin", tmp_path / "played"
    folder.mkdir()
    played.touch()
    (folder / "mpv").write_text(FAKE_MPV)
    (folder / "mpv").chmod(0o755)

    async def has_played(count: int) -> list[str]:
        async with asyncio.timeout(TIMEOUT):
            while len(lines := played.read_text().splitlines()) < count:
                await asyncio.sleep(0.02)
        return lines

    path = f"{folder}:{os.environ['PATH']}"
    kiosk = running("mpv_kiosk", TOKEN=token(), SERVER=server.url, PATH=path, PLAYED=str(played))
    async with connect(server.url, token()) as player, kiosk:
        await player.play("song", 5)
        [arguments] = await has_played(1)
        found = re.fullmatch(r"--no-video --really-quiet --start=\+([0-9.]+) (\S+)", arguments)
        assert found
        assert 5.0 <= float(found[1]) < 15.0
        assert found[2].startswith(f"{server.url}/")
        await player.pause()
        assert (await has_played(2))[1] == "stopped"
        await player.play("other")
        assert "/other?ticket=" in (await has_played(3))[2]
    last = int((tmp_path / "played.pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(last, 0)


async def test_the_embedded_application_serves_below_its_prefix(
    media: Path, token: Token, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JWT_SECRET", SECRET)
    monkeypatch.setenv("AUDIOSTREAM_MEDIA", str(media))
    monkeypatch.setenv("AUDIOSTREAM_STATE", ":memory:")
    async with TestClient(TestServer(kiosk())) as client:
        headers = {"Authorization": f"Bearer {token()}"}
        async with client.get("/audio/api/tracks/current-state", headers=headers) as response:
            assert response.status == 200
            assert (await response.json())["trackId"] is None

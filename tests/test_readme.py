"""The README says nothing untrue: its example works when pasted, and its tables are complete."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest

from audiostream import Settings, create_app, frames, gateway, sockets
from audiostream.settings import Limits

from .conftest import Launch

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()

Token = Callable[..., str]


@pytest.mark.filterwarnings("default::ResourceWarning")
def test_the_raw_client_works_when_pasted(launch: Launch, token: Token) -> None:
    server = launch()
    server.wait_for_log("the library has")
    found = re.search(r"<<'PYTHON'\n(.*?)\nPYTHON\n", README, re.DOTALL)
    assert found
    example = found[1].replace("http://localhost:3000", server.url)
    shown = subprocess.run(
        [sys.executable, "-"],
        input=example,
        env=os.environ | {"TOKEN": token("demo")},
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


def test_every_route_is_in_it(settings: Settings) -> None:
    tables = README.replace("`, `", "` `")
    for route in create_app(settings).router.routes():
        path = route.resource.canonical if route.resource else ""
        if path.startswith("/api") or path.rpartition("/")[2] in {
            page.name for page in (ROOT / "audiostream/web").rglob("*.*")
        }:
            continue
        assert f"{path}`" in tables, path


def test_every_setting_is_in_it() -> None:
    names = re.findall(
        r'"((?:AUDIOSTREAM|JWT|CORS)_[A-Z_]+)"', (ROOT / "audiostream/settings.py").read_text()
    )
    assert len(set(names)) >= 12
    for name in names:
        assert f"`{name}`" in README, name


def test_every_close_code_and_limit_is_in_it() -> None:
    for code in (
        gateway.GOING_AWAY,
        frames.UNSUPPORTED_DATA,
        gateway.TOKEN_REFUSED,
        gateway.OTHER_USER,
        gateway.AUTH_TOO_LATE,
        gateway.TOO_MANY,
        gateway.TRY_LATER,
    ):
        assert f"| {code} |" in README
    assert f"within {gateway.AUTH_TIMEOUT:g} s" in README
    assert f"over {Limits().max_frame // 1024} KiB" in README
    assert f"once {sockets.MAX_UNSENT // 1024} KiB wait" in README
    assert f"{gateway.EXPIRY_NOTICE:g} s before" in README


def test_every_limit_is_in_it_with_its_default() -> None:
    for item in fields(Limits):
        assert f"| `AUDIOSTREAM_{item.name.upper()}` | {item.default}" in README, item.name


def test_its_picture_is_there() -> None:
    for picture in re.findall(r"!\[.*?\]\((.*?)\)", README):
        assert (ROOT / picture).is_file()

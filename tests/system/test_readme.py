"""The README agrees with the code: its example runs, its tables are complete."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Callable

import pytest

from audiostream import Settings, create_app
from audiostream.settings import Limits, markdown_tables
from audiostream.websocket import authentication, send_queue, token_expiry
from audiostream.websocket.close_reasons import CloseReason
from tests.support.paths import ROOT
from tests.support.server_process import Launch

README = (ROOT / "README.md").read_text()

Token = Callable[..., str]


@pytest.mark.filterwarnings("default::ResourceWarning")
def test_the_raw_websocket_client_of_the_readme_runs(launch: Launch, token: Token) -> None:
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


def test_every_route_is_in_the_readme(settings: Settings) -> None:
    tables = README.replace("`, `", "` `")
    for route in create_app(settings).router.routes():
        path = route.resource.canonical if route.resource else ""
        if path.startswith("/api") or path.rpartition("/")[2] in {
            page.name for page in (ROOT / "audiostream/web").rglob("*.*")
        }:
            continue
        assert f"{path}`" in tables, path


def test_the_tables_of_settings_are_those_that_the_code_generates() -> None:
    documents = [README, *(path.read_text() for path in (ROOT / "audiostream").glob("*.md"))]
    for table in markdown_tables():
        assert any(table in document for document in documents), table


def test_every_close_code_and_limit_is_in_the_readme() -> None:
    for reason in (
        CloseReason.SHUTDOWN,
        CloseReason.BINARY_MESSAGE,
        CloseReason.TOKEN_REFUSED,
        CloseReason.OTHER_USER,
        CloseReason.AUTH_TIMEOUT,
        CloseReason.TOO_MANY_DEVICES,
        CloseReason.STATE_UNAVAILABLE,
    ):
        assert f"| {reason.code} |" in README
    assert f"within {authentication.AUTH_TIMEOUT:g} s" in README
    assert f"over {Limits().max_frame // 1024} KiB" in README
    assert f"once {send_queue.MAX_UNSENT // 1024} KiB wait" in README
    assert f"{token_expiry.EXPIRY_NOTICE:g} s before" in README


def test_the_pictures_of_the_readme_exist() -> None:
    for picture in re.findall(r"!\[.*?\]\((.*?)\)", README):
        assert (ROOT / picture).is_file()

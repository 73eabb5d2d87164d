"""``python -m audiostream revoke`` where servers share a Redis."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from audiostream.cli import main
from tests.support.redis_server import RedisServer, running_redis

PASSWORD = "hush{}hush"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running_redis(tmp_path_factory.mktemp("redis"), password=PASSWORD) as server:
        yield server


@pytest.fixture(autouse=True)
def environment(server: RedisServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """That of a server that shares a Redis; the state file of the same environment."""
    monkeypatch.delenv("JWT_SECRET", raising=False)
    monkeypatch.setenv("AUDIOSTREAM_REDIS", server.url)
    monkeypatch.setenv("AUDIOSTREAM_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


def test_revoke_writes_to_redis_alone(
    server: RedisServer, environment: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = time.time()
    assert main(["revoke", "a{d}a"]) == 0
    assert "'a{d}a'" in capsys.readouterr().out
    at = float(server.ask("HGET", "audiostream:{revoked}:users", "a%7Bd%7Da").split("\r\n")[1])
    assert before <= at <= time.time()
    assert not environment.exists()


def test_revoke_refuses_to_write_to_a_state_file_beside_redis(
    environment: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["revoke", "ada", "--state", str(environment)]) == 2
    assert "Leave out --state" in capsys.readouterr().err
    assert not environment.exists()


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("redis://127.0.0.1:1/0", "cannot be reached"),
        ("redis://:wrong{}word@127.0.0.1:PORT/0", "refuses the user or password"),
        ("redis://127.0.0.1:PORT/0", "refuses the user or password"),
        ("redis://:hush%7B%7Dhush@127.0.0.1:PORT/99", "DB index is out of range"),
        ("redis://:hush%7B%7Dhush@127.0.0.1:PORT/0?mood=hush", "cannot be used"),
        ("http://127.0.0.1:PORT/", "must be like redis://"),
    ],
)
def test_revoke_says_why_redis_cannot_be_used_and_never_the_password(
    server: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    url: str,
    advice: str,
) -> None:
    monkeypatch.setenv("AUDIOSTREAM_REDIS", url.replace("PORT", str(server.port)))
    assert main(["revoke", "ada"]) == 2
    text = capsys.readouterr().err
    assert advice in text
    assert "hush" not in text
    assert "wrong{}word" not in text
    assert "Traceback" not in text

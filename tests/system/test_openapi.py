"""The REST documentation is true: it names every route, and the real server keeps to it.

Schemathesis reads the document that the server publishes, and makes requests that follow it and
requests that break it. Answers that no generator meets by chance are asked for one by one.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import cache
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from openapi_spec_validator import validate

from audiostream import Settings, create_app
from tests.conftest import Serve, of_own_users
from tests.support.audio_files import write_wav
from tests.support.long_tests import times
from tests.support.media_folder import write_four_tracks
from tests.support.paths import WEB
from tests.support.server_process import Launch, ServerProcess, module_server

Token = Callable[..., str]

DOCUMENT: dict[str, Any] = json.loads((WEB / "openapi.json").read_text())
METHODS = {"get", "head", "post", "put", "patch", "delete", "options", "trace"}
REST = ("/tracks", "/session", "/healthz")
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "ignored_auth",
    "negative_data_rejection",
    "positive_data_acceptance",
)
CONFIGURATION = """
[dictionaries.ids]
values = ["song"]

[parameters]
"path.id" = { dictionary = "ids", probability = 0.9 }

# Parameters that the document does not name are ignored, and may be.
[generation]
allow-extra-parameters = false

# A request may be in order and still ask for another version or part than there is.
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "304", "404", "409", "412", "416"]

# A body that breaks the schema may be too long to be read at all, which is 413.
[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "405", "406", "409", "413", "415", "429"]

# No schema tells that an index is within a list, and that a list has the track of the path.
[[operations]]
include-operation-id = ["setQueue", "playTrack"]
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "404", "409"]
"""
EXAMPLES = str(times(40))
PATIENCE = 240.0
"""Seconds after which the generator has hung."""
LONG = 2400.0
"""Seconds of a track of which no socket's buffers hold all bytes."""


def documented() -> set[tuple[str, str]]:
    return {
        (method.upper(), path)
        for path, item in DOCUMENT["paths"].items()
        for method in item.keys() & METHODS
    }


def test_the_openapi_document_is_valid() -> None:
    validate(DOCUMENT)


async def test_the_openapi_document_has_every_route_and_no_other(settings: Settings) -> None:
    routes = {
        (route.method, route.resource.canonical)
        for route in create_app(settings).router.routes()
        if route.resource is not None
    }
    for base in ("", "/api"):
        served = {
            (method, path.removeprefix(base))
            for method, path in routes
            if path.startswith(tuple(base + rest for rest in REST))
        }
        assert served == documented()
    assert [server["url"] for server in DOCUMENT["servers"]] == ["./", "./api"]


def test_every_component_of_the_openapi_document_is_used() -> None:
    text = json.dumps(DOCUMENT)
    for kind, components in DOCUMENT["components"].items():
        for name in components:
            named = f'"#/components/{kind}/{name}"' if kind != "securitySchemes" else f'{{"{name}":'
            assert named in text, f"{kind}/{name}"


async def test_the_openapi_document_is_served_as_json(serve: Serve) -> None:
    async with (await serve()).get("/openapi.json") as answer:
        assert (answer.status, answer.content_type) == (200, "application/json")
        assert await answer.json() == DOCUMENT


def test_the_server_responds_as_the_openapi_document_says(
    launch: Launch, token: Token, tmp_path: Path
) -> None:
    server = launch(AUDIOSTREAM_COMMANDS_PER_SECOND="100000")
    server.wait_for_log("the library has")
    configuration = tmp_path / "schemathesis.toml"
    configuration.write_text(CONFIGURATION)
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(configuration)]
    run = ["run", f"{server.url}/openapi.json", "--header", f"Authorization: Bearer {token()}"]
    options = ["--checks", ",".join(CHECKS), "--max-examples", EXAMPLES, "--continue-on-failure"]
    done = subprocess.run(
        [*command, *run, *options, "--mode", "all", "--generation-deterministic", "--no-color"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    media = write_four_tracks(tmp_path_factory.mktemp("rare"))
    write_wav(media / "song.wav", LONG)
    limits = {"AUDIOSTREAM_BODY_TIMEOUT": "1", "AUDIOSTREAM_STREAMS_PER_USER": "1"}
    with module_server(media, **limits) as server:
        yield server


@pytest.fixture(scope="module")
def sparing_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that takes one command a second of each user."""
    media = write_four_tracks(tmp_path_factory.mktemp("sparing"))
    with module_server(media, AUDIOSTREAM_COMMANDS_PER_SECOND="1") as server:
        yield server


class TestRareResponses:
    """Status, content type, headers and body are validated by ``ask``."""

    @pytest.fixture
    def token(self, token: Token) -> Token:
        return of_own_users(token)

    def test_a_conflict_is_documented(self, server: ServerProcess, token: Token) -> None:
        assert ask(server, token, "/tracks/play/{id}", {"currentTime": 3}) == 200
        assert ask(server, token, "/tracks/pause/{id}", {"ifRev": 7}) == 409

    def test_a_body_too_large_is_documented(self, server: ServerProcess, token: Token) -> None:
        assert ask(server, token, "/tracks/play/{id}", {"padding": "x" * 70_000}) == 413

    def test_a_body_with_a_wrong_content_encoding_is_documented(
        self, server: ServerProcess, token: Token
    ) -> None:
        claimed = {"Content-Encoding": "gzip"}
        assert ask(server, token, "/tracks/play/{id}", {}, headers=claimed) == 400

    def test_a_body_too_slow_is_documented(self, server: ServerProcess, token: Token) -> None:
        assert "408" in DOCUMENT["paths"]["/tracks/play/{id}"]["post"]["responses"]
        connection = HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        with closing(connection):
            connection.putrequest("POST", "/tracks/play/song")
            connection.putheader("Authorization", f"Bearer {token()}")
            connection.putheader("Content-Length", "100")
            connection.endheaders(b"{")
            answer = connection.getresponse()
            assert (answer.status, json.load(answer)["error"]["code"]) == (408, "too_slow")

    @pytest.mark.parametrize(
        ("path", "method"),
        [
            ("/tracks/current-state", "GET"),
            ("/tracks/current-state", "HEAD"),
            ("/tracks/history", "GET"),
            ("/tracks/queue", "GET"),
            ("/tracks/shuffle", "POST"),
            ("/tracks/next", "POST"),
            ("/tracks/previous", "POST"),
            ("/tracks/{id}/positions", "GET"),
            ("/tracks/play/{id}", "POST"),
            ("/tracks/pause/{id}", "POST"),
            ("/tracks/update-state/{id}", "POST"),
        ],
    )
    def test_too_many_commands_are_documented(
        self, sparing_server: ServerProcess, token: Token, path: str, method: str
    ) -> None:
        body = {"currentTime": 1, "isPlaying": True} if method == "POST" else None
        asked = (ask(sparing_server, token, path, body, method=method) for _ in range(60))
        assert 429 in asked

    def test_too_many_streams_are_documented(self, server: ServerProcess, token: Token) -> None:
        with open_stream(server, token()):
            assert ask(server, token, "/tracks/stream/{id}", method="GET") == 429
            assert ask(server, token, "/tracks/stream/{id}", method="HEAD") == 429

    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            ({}, 200),
            ({"Range": "bytes=0-9"}, 206),
            ({"If-None-Match": "*"}, 304),
            ({"If-Match": '"another"'}, 412),
            ({"Range": "bytes=99999999-"}, 416),
        ],
    )
    def test_the_responses_of_a_stream_are_documented(
        self, server: ServerProcess, token: Token, headers: dict[str, str], status: int
    ) -> None:
        path = "/tracks/stream/{id}"
        assert ask(server, token, path, method="GET", headers=headers) == status
        without_range = status if "Range" not in headers else 200
        assert ask(server, token, path, method="HEAD", headers=headers) == without_range


@cache
def schema_of(url: str) -> Any:
    return schemathesis.openapi.from_url(f"{url}/openapi.json")


def ask(
    server: ServerProcess,
    token: Token,
    path: str,
    body: dict[str, Any] | None = None,
    *,
    method: str = "POST",
    headers: dict[str, str] | None = None,
) -> int:
    """The status of an answer that is just as documented."""
    schema = schema_of(server.url)
    given: dict[str, Any] = {"path_parameters": {"id": "song"}} if "{" in path else {}
    if body is not None:
        given |= {"body": body, "media_type": "application/json"}
    case = schema[path][method].Case(**given)
    sent = {"Authorization": f"Bearer {token()}", **(headers or {})}
    return int(case.call_and_validate(headers=sent, timeout=PATIENCE).status_code)


@contextmanager
def open_stream(server: ServerProcess, token: str) -> Iterator[None]:
    """A listener who takes the first bytes of the song and no more."""
    request = (
        f"GET /tracks/stream/song HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port)) as listener:
        listener.sendall(request.encode())
        assert listener.recv(12) == b"HTTP/1.1 200"
        yield

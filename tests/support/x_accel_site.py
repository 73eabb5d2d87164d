"""A server whose bytes nginx sends, configured as DEPLOYMENT.md says, and its media folder."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from audiostream import Settings
from audiostream.app import tokens_of
from audiostream.auth.access_tokens import Tokens
from audiostream.library.formats import AUDIO_TYPES
from tests.support.blocking_connection import BlockingConnection
from tests.support.nginx import running_nginx, x_accel_directives
from tests.support.raw_http import Answer, bearer, request
from tests.support.server_process import SECRET, ServerProcess, module_server

SIZE = 300_000
CONTENT, NEW, SECRETS = (
    random.Random(number).randbytes(SIZE)  # noqa: S311 - repeatable on purpose
    for number in (1, 2, 3)
)
LONG_AGO = 1_700_000_000
"""Epoch seconds of the modification of each file."""
ORIGIN = "https://music.example"
ODD_NAMES = (
    "100% real.webm",
    "%41%2f..%2f%0a.webm",
    "what?ticket=1&a=b.webm",
    "one#two;three+four=five,six.webm",
    "back\\slash and \"quotes' <&>.webm",
    "Motörhead 夜に駆ける 🎵.webm",
    "two\nlines\r\ttab.webm",
    "...And Justice for All.webm",
    " spaces /  .. .webm",
    "not UTF-8 \udcff\udcfe.webm",
    "@named.webm",
    "x" * 240 + ".webm",
)
SAME_HEADERS = (
    *("content-type", "content-length", "content-range", "content-encoding", "etag"),
    *("last-modified", "cache-control", "vary", "x-content-type-options", "retry-after"),
    *("access-control-allow-origin", "access-control-allow-credentials"),
    *("access-control-expose-headers", "set-cookie", "location", "x-accel-redirect"),
)
"""Headers that are the same whoever sends the bytes, present or not."""


@dataclass(frozen=True)
class Site:
    """A server and the nginx in front of it."""

    media: Path
    state: Path
    server: ServerProcess
    proxy_port: int
    tokens: Tokens

    def ask(
        self, track: str = "song", method: str = "GET", user: str | None = "ada", **headers: str
    ) -> Answer:
        """Send a request for a track through nginx, with a user's token."""
        return send(
            self.proxy_port, method, f"/api/tracks/stream/{track}", self.fields(user, headers)
        )

    def ask_server(
        self, track: str = "song", method: str = "GET", user: str | None = "ada", **headers: str
    ) -> Answer:
        """Send it to the server itself."""
        return send(self.server.port, method, f"/tracks/stream/{track}", self.fields(user, headers))

    def redirect(self, track: str = "song", method: str = "GET", **headers: str) -> str | None:
        """The ``X-Accel-Redirect`` that the server answers a request of a trusted proxy with."""
        headers["X_Forwarded_For"] = "203.0.113.9"
        return self.ask_server(track, method, **headers).headers.get("x-accel-redirect")

    def revoke(self, user: str) -> None:
        command = [sys.executable, "-m", "audiostream", "revoke", user]
        environ = {"JWT_SECRET": SECRET, "AUDIOSTREAM_STATE": str(self.state)}
        subprocess.run(command, env=os.environ | environ, check=True, capture_output=True)

    def fields(self, user: str | None, headers: dict[str, str]) -> dict[str, str | bytes]:
        token = {} if user is None else bearer(self.tokens.mint(user, time.time(), None))
        return token | {name.replace("_", "-"): text for name, text in headers.items()}


def send(port: int, method: str, path: str, headers: dict[str, str | bytes]) -> Answer:
    with BlockingConnection(port) as connection:
        connection.send(request(method, path, headers))
        return Answer.of(connection.read_to_end())


def put(path: Path, content: bytes, mtime: float = LONG_AGO) -> None:
    """Replace a file, as programs do that care."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name("new")
    new.write_bytes(content)
    os.utime(new, (mtime, mtime))
    new.replace(path)


@contextmanager
def running_site(media: Path, **environ: str) -> Iterator[Site]:
    state = media.parent / "state.sqlite3"
    given = {
        "AUDIOSTREAM_X_ACCEL": "/protected/",
        "AUDIOSTREAM_TRUSTED_PROXIES": "127.0.0.1",
        "AUDIOSTREAM_STATE": str(state),
        "CORS_ORIGINS": ORIGIN,
    }
    # What a site may have switched on for its pages must not touch audio.
    pages = (
        "gzip on; gzip_types *; gzip_min_length 1; gzip_static on; etag off; expires 1d;"
        "open_file_cache max=100; location ~ [.]webm$ { return 418; }"
    )
    with module_server(media, **given | environ) as server:
        http, locations = x_accel_directives(media, server.port)
        locations = locations.replace("proxy_pass", "expires off; proxy_pass", 1)
        with running_nginx(media.parent, http, pages + locations) as url:
            tokens = tokens_of(Settings(jwt_secret=SECRET, media=media))
            yield Site(media, state, server, urlsplit(url).port or 0, tokens)


def make_media(folder: Path) -> Path:
    media = folder / "media"
    entries = [("song", "song.webm"), ("hers", "users/ada/hers.webm"), ("empty", "empty.webm")]
    entries += [("large", "large.webm"), ("his", "users/bob/his.webm")]
    entries += [(f"odd{number}", name) for number, name in enumerate(ODD_NAMES)]
    entries += [(suffix[1:], f"formats/file{suffix}") for suffix in AUDIO_TYPES]
    for _, name in entries:
        put(media / name, CONTENT if "formats" not in name else name.encode())
    put(media / "empty.webm", b"")
    put(media / "song.webm.gz", b"a compressed sidecar")
    with (media / "large.webm").open("ab") as large:
        large.truncate(64 * 1024 * 1024)  # more than buffers hold
    (media / "tracks.json").write_text(
        json.dumps([{"id": track, "audioUrl": name, "title": track} for track, name in entries])
    )
    return media


def assert_same(found: Answer, expected: Answer) -> None:
    assert found.status == expected.status
    assert found.body == expected.body
    for name in SAME_HEADERS:
        assert found.headers.get(name) == expected.headers.get(name), name

"""Connections that come and break all the time: a reused descriptor carries no other's bytes.

Threads connect, ask for what is one user's alone, take some of it and leave, with or without a
close, against the real process. The system gives the lowest free number to the next connection or
file, so every number is used again and again while answers are under way.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from audiostream import Settings
from audiostream.app import tokens_of
from audiostream.auth.access_tokens import Tokens
from tests.support.blocking_connection import BlockingConnection
from tests.support.raw_http import bearer, request, upgrade
from tests.support.raw_websocket import CLOSE, frame
from tests.support.server_process import SECRET, UNLIMITED, ServerProcess, module_server

SIZES = {"little": 900, "some": 40_000, "much": 3_000_000}
"""Bytes of each user's tracks: one write, one read and a write, and more than sockets hold."""
THREADS = 12
SECONDS = 5.0

Tracks = dict[str, bytes]


@pytest.fixture(scope="module")
def shelves() -> dict[str, Tracks]:
    """Each user's tracks: bytes that are nowhere else."""
    chance = random.Random(1)  # noqa: S311 - repeatable on purpose
    return {
        f"user{number}": {f"{name}{number}": chance.randbytes(size) for name, size in SIZES.items()}
        for number in range(THREADS)
    }


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory, shelves: dict[str, Tracks]) -> Path:
    folder = tmp_path_factory.mktemp("reused") / "media"
    entries = []
    for user, tracks in shelves.items():
        (folder / "users" / user).mkdir(parents=True)
        for name, content in tracks.items():
            path = folder / "users" / user / f"{name}.webm"
            path.write_bytes(content)
            where = str(path.relative_to(folder))
            entries.append({"id": name, "audioUrl": where, "title": name, "duration": 600})
    (folder / "tracks.json").write_text(json.dumps(entries))
    return folder


@pytest.fixture(scope="module", params=["1", "0"], ids=["fast path", "aiohttp alone"])
def server(media: Path, request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    with module_server(
        media, AUDIOSTREAM_FAST_PATH=request.param, AUDIOSTREAM_ACCESS_LOG="0", **UNLIMITED
    ) as server:
        yield server


@dataclass
class Visitor:
    """One user who comes again and again. ``visits`` counts by what was done."""

    port: int
    tokens: Tokens
    user: str
    tracks: Tracks
    chance: random.Random

    def __post_init__(self) -> None:
        self.token = self.tokens.mint(self.user, time.time(), None)
        self.visits = {"a stream": 0, "a socket": 0, "a list": 0}

    def come_until(self, over: threading.Event) -> None:
        while not over.is_set():
            kind = self.chance.choice(list(self.visits))
            line = BlockingConnection(self.port)
            try:
                getattr(self, kind.replace(" ", "_"))(line)
            finally:
                if self.chance.random() < 0.5:
                    line.reset()
                line.socket.close()
            self.visits[kind] += 1

    def a_stream(self, line: BlockingConnection) -> None:
        """Ranges of own tracks, one after the other; the last is perhaps not taken whole."""
        for _ in range(self.chance.randint(1, 4)):
            name, content = self.chance.choice(list(self.tracks.items()))
            first = self.chance.randrange(len(content))
            last = self.chance.randrange(first, len(content))
            ticket = self.tokens.ticket(self.user, name, 60.0, time.time())
            headers = {"Connection": "keep-alive", "Range": f"bytes={first}-{last}"}
            line.send(request("GET", f"/tracks/stream/{name}?ticket={ticket}", headers))
            if self.chance.random() < 0.1:
                return  # before anything has come
            head = line.read_until(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 206"), head
            assert f"Content-Range: bytes {first}-{last}/{len(content)}".encode() in head
            wanted = last - first + 1
            taken = self.chance.choice((wanted, wanted, self.chance.randint(0, wanted)))
            self.check(line.read(taken), content[first : first + taken])
            if taken < wanted:
                return

    def a_socket(self, line: BlockingConnection) -> None:
        """Questions, and a command about an own track."""
        line.send(upgrade("/ws", bearer(self.token)))
        head = line.read_until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101"), head
        track, mark = self.chance.choice(list(self.tracks)), f"{self.user}-{self.chance.random()}"
        line.send(frame(json.dumps({"event": "playTrack", "data": {"trackId": track}, "id": mark})))
        if self.chance.random() < 0.2:
            return
        content = json.loads(self.payload(line))
        assert (content["id"], content["data"].get("trackId")) == (mark, track), content
        if self.chance.random() < 0.5:
            line.send(frame((1000).to_bytes(2), CLOSE))
            assert self.payload(line) == (1000).to_bytes(2)

    def payload(self, line: BlockingConnection) -> bytes:
        """Of the next frame."""
        length = line.read(2)[1]
        return line.read(int.from_bytes(line.read(2)) if length == 126 else length)

    def a_list(self, line: BlockingConnection) -> None:
        """Everything that this user may play, and that is nobody else's."""
        line.send(request("GET", "/tracks", bearer(self.token)))
        if self.chance.random() < 0.2:
            return
        body = line.read_to_end().partition(b"\r\n\r\n")[2]
        assert {track["id"] for track in json.loads(body)["tracks"]} == set(self.tracks)

    def check(self, found: bytes, wanted: bytes) -> None:
        assert len(found) == len(wanted), "it was cut"
        assert found == wanted, "there are other bytes in it"


def test_connections_that_reuse_descriptors_get_no_bytes_of_another_user(
    server: ServerProcess, media: Path, shelves: dict[str, Tracks]
) -> None:
    tokens = tokens_of(Settings(jwt_secret=SECRET, media=media))
    visitors = [
        Visitor(server.port, tokens, user, tracks, random.Random(number))  # noqa: S311 - repeatable
        for number, (user, tracks) in enumerate(shelves.items())
    ]
    run(lambda visitor, over: visitor.come_until(over), visitors)
    assert min(min(visitor.visits.values()) for visitor in visitors) > 0


def run(task: Callable[[Visitor, threading.Event], None], visitors: list[Visitor]) -> None:
    """Each in a thread, for ``SECONDS``, or until one of them fails."""
    over = threading.Event()
    with ThreadPoolExecutor(len(visitors)) as threads:
        tasks = [threads.submit(task, visitor, over) for visitor in visitors]
        end = time.monotonic() + SECONDS
        while time.monotonic() < end and not any(each.done() for each in tasks):
            time.sleep(0.05)
        over.set()
        for each in tasks:
            each.result()

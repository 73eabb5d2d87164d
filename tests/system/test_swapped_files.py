"""Files that change while the server has them open: what is at the path now is sent.

Replaced, rewritten, truncated, grown, renamed and deleted files, and links, FIFOs and folders in
their place, against the real process, on connections that were just answered from the same file.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, chdir
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import ClientPayloadError

from audiostream import Settings
from audiostream.app import tokens_of
from audiostream.auth.access_tokens import Tokens
from tests.conftest import FOLDER_CHANGE_SEEN_AFTER, Serve
from tests.support.blocking_connection import BlockingConnection
from tests.support.raw_http import bearer, request
from tests.support.server_process import SECRET, UNLIMITED, ServerProcess, module_server

SIZES = (900, 40_000, 1_000_000)
"""Bytes: sent in one write, read and written, and sent from the file."""
TICK = 0.02
"""Seconds after which a file system gives a change another time."""
OLD, NEW, SECRETS = (
    random.Random(number).randbytes(1_000_000)  # noqa: S311 - repeatable on purpose
    for number in (1, 2, 3)
)
WAYS = ("ticket", "token")
"""A range by ticket, and all by Bearer header."""


@dataclass(frozen=True)
class Place:
    """A track's file, and one beside the media folder that is nobody's track."""

    path: Path
    aside: Path


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("swapped") / "media"
    folder.mkdir()
    entries = []
    for name in ("song", "other"):
        (folder / f"{name}.webm").write_bytes(OLD)
        entries.append({"id": name, "audioUrl": f"{name}.webm", "title": name, "duration": 60})
    (folder / "tracks.json").write_text(json.dumps(entries))
    return folder


@pytest.fixture(scope="module", params=["1", "0"], ids=["fast path", "aiohttp alone"])
def server(media: Path, request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    with module_server(
        media, AUDIOSTREAM_FAST_PATH=request.param, AUDIOSTREAM_ACCESS_LOG="0", **UNLIMITED
    ) as server:
        yield server


@pytest.fixture(scope="module")
def tokens(media: Path) -> Tokens:
    return tokens_of(Settings(jwt_secret=SECRET, media=media))


@pytest.fixture
def place(media: Path) -> Place:
    return Place(media / "song.webm", media.parent / "treasure.webm")


@dataclass(frozen=True)
class Answer:
    status: int
    head: str
    body: bytes

    @property
    def etag(self) -> str:
        return str(re.findall(r'\r\nETag: ("[^"]+")', self.head)[0])


class Listener(BlockingConnection):
    """A connection that stays, on which ada's track is asked for by one of the two ``WAYS``."""

    def __init__(self, port: int, tokens: Tokens, way: str) -> None:
        super().__init__(port)
        now = time.time()
        self._path = "/tracks/stream/song"
        self._headers: dict[str, str | bytes] = {"Connection": "keep-alive"}
        if way == "ticket":
            self._path += f"?ticket={tokens.ticket('ada', 'song', 60.0, now)}"
            self._headers["Range"] = "bytes=0-"
        else:
            self._headers |= bearer(tokens.mint("ada", now, None))

    def ask(self, method: str = "GET", **headers: str) -> Answer:
        named: dict[str, str | bytes] = {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        self.send(request(method, self._path, self._headers | named))
        head = self.read_until(b"\r\n\r\n").decode("latin-1")
        assert head, "the connection ended"
        found = re.search(r"\r\nContent-Length: ([0-9]+)\r\n", head)
        length = int(found[1]) if found and method != "HEAD" else 0
        return Answer(int(head.split(" ")[1]), head, self.read(length))


def put(path: Path, content: bytes) -> None:
    """Replace a file, as programs do that care."""
    new = path.with_name("new")
    new.write_bytes(content)
    new.replace(path)


def replaced(place: Place, size: int) -> bytes:
    put(place.path, NEW[: size + 1])
    return NEW[: size + 1]


def replaced_by_one_of_its_length_and_date(place: Place, size: int) -> bytes:
    before = place.path.stat()
    new = place.path.with_name("new")
    new.write_bytes(NEW[:size])
    os.utime(new, ns=(before.st_atime_ns, before.st_mtime_ns))
    new.replace(place.path)
    return NEW[:size]


def rewritten(place: Place, size: int) -> bytes:
    with place.path.open("r+b") as file:
        file.write(NEW[:size])
    return NEW[:size]


def rewritten_with_its_old_date(place: Place, size: int) -> bytes:
    """As programs do that write tags and keep dates."""
    before = place.path.stat()
    content = rewritten(place, size)
    os.utime(place.path, ns=(before.st_atime_ns, before.st_mtime_ns))
    return content


def truncated(place: Place, size: int) -> bytes:
    os.truncate(place.path, size // 2)
    return OLD[: size // 2]


def grown(place: Place, size: int) -> bytes:
    with place.path.open("ab") as file:
        file.write(NEW[:5000])
    return OLD[:size] + NEW[:5000]


def swapped_with_another_track(place: Place, size: int) -> bytes:
    other = place.path.with_name("other.webm")
    put(other, NEW[:size])
    place.path.replace(place.path.with_name("aside"))
    other.replace(place.path)
    place.path.with_name("aside").replace(other)
    return NEW[:size]


def renamed(place: Place, size: int) -> None:
    place.path.replace(place.path.with_name("elsewhere.webm"))


def deleted(place: Place, size: int) -> None:
    place.path.unlink()


def a_link_to_what_is_no_track(place: Place, size: int) -> None:
    place.aside.write_bytes(SECRETS[:size])
    place.path.unlink()
    place.path.symlink_to(place.aside)


def a_link_to_the_file_itself(place: Place, size: int) -> None:
    aside = place.path.with_name("elsewhere.webm")
    place.path.replace(aside)
    place.path.symlink_to(aside)


def a_pipe(place: Place, size: int) -> None:
    place.path.unlink()
    os.mkfifo(place.path)


def a_folder(place: Place, size: int) -> None:
    place.path.unlink()
    place.path.mkdir()


def a_socket(place: Place, size: int) -> None:
    place.path.unlink()
    with socket.socket(socket.AF_UNIX) as listener, chdir(place.path.parent):
        listener.bind(place.path.name)


def put_back(place: Place, size: int) -> bytes:
    """The old content, whatever is there."""
    if place.path.is_dir() and not place.path.is_symlink():
        place.path.rmdir()
    put(place.path, OLD[:size])
    return OLD[:size]


Change = Callable[[Place, int], bytes | None]
CHANGES: tuple[Change, ...] = (
    replaced,
    replaced_by_one_of_its_length_and_date,
    rewritten,
    truncated,
    grown,
    swapped_with_another_track,
    renamed,
    deleted,
    a_link_to_what_is_no_track,
    a_link_to_the_file_itself,
    a_pipe,
    a_folder,
    a_socket,
)


@pytest.fixture
def listeners(server: ServerProcess, tokens: Tokens) -> Iterator[list[Listener]]:
    """One of each way, and one that asks for the head alone."""
    with ExitStack() as stack:
        yield [stack.enter_context(Listener(server.port, tokens, way)) for way in (*WAYS, WAYS[0])]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "change",
    [
        *CHANGES,
        rewritten_with_its_old_date,
    ],
    ids=lambda change: change.__name__.replace("_", " "),
)
def test_a_file_changed_while_it_is_open_is_sent_as_it_is_now(
    listeners: list[Listener], place: Place, change: Change, size: int
) -> None:
    *bodies, heads = listeners
    put_back(place, size)
    time.sleep(TICK)
    for _ in range(3):
        before = [listener.ask() for listener in bodies]
        assert [answer.body for answer in before] == [OLD[:size]] * len(bodies)
        assert heads.ask("HEAD").status == 200
    wanted = change(place, size)
    after = [listener.ask() for listener in bodies]
    if wanted is None:
        assert [answer.status for answer in after] == [404, 404]
        assert heads.ask("HEAD").status == 404
    else:
        check_version(bodies, heads, before, after, wanted)
    again = put_back(place, size)
    assert [listener.ask().body for listener in bodies] == [again] * len(bodies)
    assert heads.ask("HEAD").status == 200


def check_version(
    bodies: list[Listener],
    heads: Listener,
    before: list[Answer],
    after: list[Answer],
    wanted: bytes,
) -> None:
    """Whoever has a part of the old version receives of it."""
    assert [answer.body for answer in after] == [wanted] * len(bodies)
    assert {answer.etag for answer in after}.isdisjoint(answer.etag for answer in before)
    assert f"Content-Length: {len(wanted)}\r\n" in heads.ask("HEAD").head
    for listener, old, new in zip(bodies, before, after, strict=True):
        assert listener.ask(If_None_Match=old.etag).body == wanted
        resumed = listener.ask(Range="bytes=5-9", If_Range=old.etag)
        assert (resumed.status, resumed.body) == (200, wanted)
        resumed = listener.ask(Range="bytes=5-9", If_Range=new.etag)
        assert (resumed.status, resumed.body) == (206, wanted[5:10])


SECONDS = 3.0


def while_it_is_swapped(
    swap: Callable[[random.Random], None], listen: Callable[[random.Random], None]
) -> int:
    """How often somebody listened, in ``SECONDS`` of swapping without a pause."""
    over, listened = threading.Event(), 0

    def repeat(task: Callable[[random.Random], None], seed: int) -> int:
        chance, count = random.Random(seed), 0  # noqa: S311 - repeatable on purpose
        while not over.is_set():
            task(chance)
            count += 1
        return count

    with ThreadPoolExecutor(4) as threads:
        swapping = threads.submit(repeat, swap, 0)
        listening = [threads.submit(repeat, listen, seed) for seed in (1, 2, 3)]
        end = time.monotonic() + SECONDS
        while time.monotonic() < end and not any(t.done() for t in (swapping, *listening)):
            time.sleep(0.05)
        over.set()
        swapping.result()
        listened = sum(each.result() for each in listening)
    return listened


def test_a_file_replaced_all_the_time_is_sent_in_one_version_or_404_or_503(
    server: ServerProcess, tokens: Tokens, place: Place
) -> None:
    """Each kind is put in its place at once, by a rename; the length tells the versions apart.

    Whoever asks in the moment in which a link becomes a file may be told to ask again (503).
    """
    versions = {len(content): content for content in (OLD[:40_000], NEW[:41_000], NEW[:400_000])}
    place.aside.write_bytes(SECRETS[:40_000])
    new = place.path.with_name("coming")

    def swap(chance: random.Random) -> None:
        match chance.choice(("version", "version", "link", "pipe", "nothing")):
            case "version":
                new.write_bytes(chance.choice(list(versions.values())))
            case "link":
                new.symlink_to(place.aside)
            case "pipe":
                os.mkfifo(new)
            case "nothing":
                place.path.unlink(missing_ok=True)
                return
        new.replace(place.path)
        time.sleep(chance.choice((0.0, 0.0, 0.005)))

    statuses: dict[int, int] = {}

    def listen(chance: random.Random) -> None:
        with Listener(server.port, tokens, chance.choice(WAYS)) as listener:
            for _ in range(10):
                answer = listener.ask()
                statuses[answer.status] = statuses.get(answer.status, 0) + 1
                if answer.status in {200, 206}:
                    assert answer.body == versions.get(len(answer.body))

    put_back(place, 40_000)
    assert while_it_is_swapped(swap, listen) > 0
    assert {200, 206, 404} <= statuses.keys() <= {200, 206, 404, 503}
    put_back(place, 40_000)


@pytest.mark.parametrize("way", WAYS)
def test_a_file_truncated_and_grown_all_the_time_is_sent_without_foreign_bytes(
    server: ServerProcess, tokens: Tokens, place: Place, way: str
) -> None:
    """The file is truncated and grown where it is; an answer may be cut, and nothing follows.

    sendfile sends what is in memory when the network takes it: behind a new end these are zeros.
    """
    lengths = (0, 10, 4096, 40_000, 400_000)
    answered: list[int] = []

    def swap(chance: random.Random) -> None:
        length = chance.choice(lengths)
        before = place.path.stat().st_size
        if length < before:
            os.truncate(place.path, length)
        with place.path.open("ab") as file:
            file.write(OLD[before:length])
        time.sleep(chance.choice((0.0, 0.0, 0.005)))

    def listen(chance: random.Random) -> None:
        with Listener(server.port, tokens, way) as listener:
            listener.socket.settimeout(3)
            for _ in range(10):
                first = chance.choice((0, 5, 4000, 30_000))
                answer = listener.ask(Range=f"bytes={first}-")  # waits for all that is promised
                assert answer.status in {200, 206, 416}
                start = first if answer.status == 206 else 0
                wanted = OLD[start : start + len(answer.body)]
                pairs = zip(answer.body, wanted, strict=True)
                assert answer.body == wanted or all(one in (0, other) for one, other in pairs)
                promised = int(re.findall(r"Content-Length: ([0-9]+)", answer.head)[0])
                if len(answer.body) < promised:
                    assert listener.read_to_end() == b""
                    return
                answered.append(answer.status)

    put_back(place, 40_000)
    time.sleep(FOLDER_CHANGE_SEEN_AFTER)  # of a version that another test has put there
    assert while_it_is_swapped(swap, listen) > 0
    assert {206, 416} <= set(answered)
    put_back(place, 40_000)


async def test_a_file_truncated_before_its_first_byte_is_sent_closes_the_connection(
    serve: Serve, token: Callable[..., str], place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    sendfile, headers = os.sendfile, {"Authorization": f"Bearer {token()}"}

    def late(*arguments: int) -> int:
        os.truncate(place.path, 0)
        return sendfile(*arguments)

    put_back(place, 400_000)
    client = await serve()
    async with client.get("/tracks/stream/song", headers=headers) as answer:
        assert await answer.read() == OLD[:400_000]
    monkeypatch.setattr(os, "sendfile", late)
    async with asyncio.timeout(3), client.get("/tracks/stream/song", headers=headers) as answer:
        assert answer.content_length == 400_000
        with pytest.raises(ClientPayloadError):
            await answer.read()


async def test_a_file_replaced_while_it_is_opened_is_not_taken_for_the_new_one(
    serve: Serve, token: Callable[..., str], place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    fstat, headers = os.fstat, {"Authorization": f"Bearer {token()}"}

    def late(file: int) -> os.stat_result:
        if place.path.stat().st_size == 40_000 and os.path.samestat(fstat(file), place.path.stat()):
            put(place.path, NEW[:41_000])
        return fstat(file)

    put_back(place, 40_000)
    client = await serve()
    monkeypatch.setattr(os, "fstat", late)
    async with client.get("/tracks/stream/song", headers=headers) as answer:
        assert answer.status in {200, 404, 503}  # whichever: it was asked for in that moment
    assert place.path.read_bytes() == NEW[:41_000]
    async with client.get("/tracks/stream/song", headers=headers) as answer:
        assert await answer.read() == NEW[:41_000]

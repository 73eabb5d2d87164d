"""Requests and frames that end, rest or break at every byte: nothing hangs, nothing is left behind.

Every beginning of a plain GET, a range of a stream, a POST with its body, a WebSocket's handshake
and its first frames, against the real process. At the end of the module its log has no error and it
holds no descriptor more than before (``standing``); the limits are the usual ones, so a stream slot
or a connection that was not released is missed by later requests.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from audiostream import Settings
from audiostream.app import tokens_of
from audiostream.auth.access_tokens import Tokens
from tests.support.audio_files import write_wav
from tests.support.blocking_connection import BlockingConnection
from tests.support.raw_http import bearer, request, upgrade
from tests.support.raw_websocket import CLOSE, CONTINUATION, PING, frame
from tests.support.server_process import SECRET, ServerProcess, module_server
from tests.support.waiting import wait_until

HTTP = ("a page", "a range", "a post")
SOCKETS = ("a socket", "a socket that says who it is later")
AGAIN = "a range behind others"
"""On a connection where two like it were answered, with the file open and warm."""
NAMES = (*HTTP, AGAIN, *SOCKETS)
A_MOMENT = 0.0005
"""Seconds that a piece is ahead of the next one, so that it is read by itself."""


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cut") / "media"
    write_wav(folder / "song.wav", 10)
    (folder / "tracks.json").write_text(json.dumps([{"id": "song", "audioUrl": "song.wav"}]))
    return folder


@pytest.fixture(scope="module", params=["1", "0"], ids=["fast path", "aiohttp alone"])
def server(media: Path, request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    impatient = {
        "AUDIOSTREAM_HEADER_TIMEOUT": "2",
        "AUDIOSTREAM_BODY_TIMEOUT": "2",
        "AUDIOSTREAM_COMMANDS_PER_SECOND": "100000",
    }
    with module_server(media, AUDIOSTREAM_FAST_PATH=request.param, **impatient) as server:
        yield server


@pytest.fixture(scope="module")
def tokens(media: Path) -> Tokens:
    return tokens_of(Settings(jwt_secret=SECRET, media=media))


@pytest.fixture(scope="module")
def requests(tokens: Tokens) -> dict[str, bytes]:
    """By name; each ends its connection itself once it is whole."""
    now = time.time()
    token, ticket = tokens.mint("ada", now, None), tokens.ticket("ada", "song", 60.0, now)
    frames = (
        frame('{"event":"getCurrentState","id":1}')
        + frame('{"event":"getCurr', final=False)
        + frame(b"there?", PING)
        + frame('entState","id":2}', CONTINUATION)
        + frame((1000).to_bytes(2) + b"done", CLOSE)
    )
    hello = frame(json.dumps({"event": "auth", "data": {"token": token, "deviceId": "x"}}))
    body = b'{"currentTime": 1.5, "isPlaying": false}'
    ranged = request("GET", f"/tracks/stream/song?ticket={ticket}", {"Range": "bytes=7-99"})
    return {
        "a page": request("GET", "/healthz"),
        "a range": ranged,
        AGAIN: ranged.replace(b"Connection: close", b"Connection: keep-alive"),
        "a post": request("POST", "/tracks/update-state/song", bearer(token), body),
        "a socket": upgrade("/ws", bearer(token)) + frames,
        "a socket that says who it is later": upgrade() + hello + frames,
    }


@pytest.fixture(autouse=True)
def is_sound_afterwards(server: ServerProcess, tokens: Tokens) -> Iterator[None]:
    """Streams and sockets that were cut have been counted out, and everybody is answered."""
    yield
    token = tokens.mint("ada", time.time(), None)
    ask = request("GET", "/tracks/stream/song", bearer(token) | {"Range": "bytes=0-9"})
    wait_until(lambda: status(converse(server, ask)) == 206)
    devices = frame('{"event":"getDevices"}') + frame((1000).to_bytes(2), CLOSE)
    wait_until(lambda: converse(server, upgrade("/ws", bearer(token)) + devices).count(b"{") == 3)


def converse(server: ServerProcess, *pieces: bytes, pause: float = 0.0) -> bytes:
    """All that is answered to ``pieces``, until the connection ends."""
    with BlockingConnection(server.port) as line:
        line.send(*pieces, pause=pause)
        return line.read_to_end()


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def timeless(answer: bytes) -> bytes:
    """An answer without the time that it names, nor how often the state has changed."""
    answer = re.sub(rb"\r\n(Date|Content-Length): [^\r]*", b"", answer)
    return re.sub(rb'"(rev|updatedAt|serverTime)":[0-9]+', b"", answer)


def unframed(answer: bytes) -> bytes:
    """The same of a WebSocket's: without the lengths of frames, which follow those numbers."""
    return re.sub(rb"\x81(~..|[^~])", b"", timeless(answer), flags=re.DOTALL)


Begin = Callable[[str], BlockingConnection]


@pytest.fixture(scope="module")
def begin(server: ServerProcess, requests: dict[str, bytes]) -> Begin:
    """Connections on which what has this name is next."""

    def connect(name: str) -> BlockingConnection:
        line = BlockingConnection(server.port)
        if name == AGAIN:
            for _ in range(2):
                line.send(requests[AGAIN])
                assert status(read_answer(line)) == 206
        return line

    return connect


def read_answer(line: BlockingConnection) -> bytes:
    """One answer, and not what may come behind it."""
    head = line.read_until(b"\r\n\r\n")
    found = re.search(rb"Content-Length: ([0-9]+)", head)
    return head + line.read(int(found[1]) if found else 0)


@pytest.mark.parametrize("name", NAMES)
def test_a_request_in_two_pieces_gets_the_same_answer_as_in_one(
    begin: Begin, requests: dict[str, bytes], name: str
) -> None:
    def answer(*pieces: bytes) -> bytes:
        with begin(name) as line:
            line.send(*pieces, pause=A_MOMENT)
            if name == AGAIN:
                return timeless(read_answer(line))
            return unframed(line.read_to_end()) if name in SOCKETS else timeless(line.read_to_end())

    whole = requests[name]
    wanted = answer(whole)
    assert status(wanted) in {200, 206, 101}
    for cut in range(1, len(whole)):
        assert answer(whole[:cut], whole[cut:]) == wanted, whole[:cut]


@pytest.mark.parametrize("name", NAMES)
def test_a_connection_that_ends_within_a_request_is_closed(
    begin: Begin, requests: dict[str, bytes], name: str
) -> None:
    """All beginnings at once."""
    whole = requests[name]
    with ExitStack() as stack:
        lines = [stack.enter_context(begin(name)) for _ in whole]
        for cut, line in enumerate(lines):
            line.send(whole[:cut])
            line.end_sending()
        for line in lines:
            line.read_to_end()  # comes to an end, or the test fails


@pytest.mark.parametrize("wait", [0.0, A_MOMENT], ids=["at once", "once it was read"])
@pytest.mark.parametrize("name", NAMES)
def test_a_client_that_resets_within_a_request_leaves_nothing_behind(
    begin: Begin, requests: dict[str, bytes], name: str, wait: float
) -> None:
    whole = requests[name]
    for cut in range(len(whole) + 1):
        line = begin(name)
        line.send(whole[:cut])
        time.sleep(wait)
        line.reset()


@pytest.mark.parametrize("names", [HTTP, SOCKETS], ids=["HTTP", "handshakes"])
def test_an_incomplete_request_that_is_not_continued_is_closed_in_time(
    begin: Begin, requests: dict[str, bytes], names: tuple[str, ...]
) -> None:
    """All beginnings at once; of a WebSocket's only those of its handshake."""
    beginnings = []
    for name in names:
        head, end, behind = requests[name].partition(b"\r\n\r\n")
        whole = head + end + behind if name in HTTP else head + end
        beginnings += [(name, whole[:cut]) for cut in range(len(whole))]
    with ExitStack() as stack:
        lines = [stack.enter_context(begin(name)) for name, _ in beginnings]
        for (_, beginning), line in zip(beginnings, lines, strict=True):
            line.send(beginning)
        for (_, beginning), line in zip(beginnings, lines, strict=True):
            answer = line.read_to_end()
            assert not answer or status(answer) in {400, 408}, beginning

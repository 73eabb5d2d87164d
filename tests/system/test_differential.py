"""The same requests on two connections, with the fast path and without: the same answers.

Hypothesis makes the sequences: methods, versions, credentials, header fields, ranges, conditions,
several requests at once, and pieces of them. Both servers are ``python -m audiostream`` on the same
files, one with ``AUDIOSTREAM_FAST_PATH=0``. An answer is compared byte for byte, but for the time
that it names.

What is malformed is sent alone and in one piece: of a broken request aiohttp answers what it has
read with it, and how much that is depends on the network.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from email.utils import formatdate
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as rounds
from hypothesis import strategies as st

from audiostream import Settings
from audiostream.app import tokens_of
from tests.support.blocking_connection import BlockingConnection
from tests.support.long_tests import times
from tests.support.server_process import SECRET, UNLIMITED, ServerProcess, module_server

SIZES = {"tiny": 5, "small": 11_008, "long": 300_000}
"""Bytes of each track: one little answer, one that is read in one call, one that needs sendfile."""
AT_ONCE = 3
"""Requests that are sent together, at most."""


@dataclass(frozen=True)
class Proofs:
    """What the requests name, of one folder and its secret."""

    tickets: dict[str, str]
    cookie: str
    token: str
    etags: dict[str, str]
    date: str


class Pair:
    """The server with the fast path, and the one without."""

    def __init__(self, with_it: ServerProcess, without: ServerProcess, credentials: Proofs) -> None:
        self.with_it = with_it
        self.without = without
        self.credentials = credentials


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("differential") / "media"
    (folder / "users/bob").mkdir(parents=True)
    for name, size in SIZES.items():
        (folder / f"{name}.mp3").write_bytes((bytes(range(256)) * (size // 256 + 1))[:size])
    (folder / "users/bob/his.mp3").write_bytes(b"only for bob")
    entries = [{"id": name, "audioUrl": f"{name}.mp3", "duration": 60} for name in SIZES]
    entries.append({"id": "his", "audioUrl": "users/bob/his.mp3", "duration": 60})
    (folder / "tracks.json").write_text(json.dumps(entries))
    for path in folder.rglob("*.mp3"):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    return folder


@pytest.fixture(scope="module", params=["required", "public"])
def pair(media: Path, request: pytest.FixtureRequest) -> Iterator[Pair]:
    auth = {"AUDIOSTREAM_STREAM_AUTH": request.param, **UNLIMITED}
    with (
        module_server(media, **auth) as one,
        module_server(media, AUDIOSTREAM_FAST_PATH="0", **auth) as other,
    ):
        yield Pair(one, other, credentials_of(media, one))


def credentials_of(media: Path, server: ServerProcess) -> Proofs:
    tokens, now = tokens_of(Settings(jwt_secret=SECRET, media=media)), time.time()
    tickets = {name: tokens.ticket("ada", name, 60.0, now) for name in (*SIZES, "his")}
    etags = {}
    for name in SIZES:
        head = ask(server, f"HEAD /tracks/stream/{name}?ticket={tickets[name]} HTTP/1.1")
        etags[name] = re.findall(r'ETag: ("[^"]+")', head)[0]
    token = tokens.mint("ada", now, None)
    session = ask(server, "POST /session HTTP/1.1", f"Authorization: Bearer {token}")
    cookie = re.findall(r"Set-Cookie: ([^;]+)", session)[0]
    date = formatdate(1_700_000_000, usegmt=True)
    return Proofs(tickets, cookie, token, etags, date)


def ask(server: ServerProcess, *lines: str) -> str:
    with BlockingConnection(server.port) as wire:
        wire.send("\r\n".join([*lines, "Host: here", "Connection: close", "", ""]).encode())
        return wire.read_to_end().decode("latin-1")


@dataclass(frozen=True)
class Request:
    """One request, with ``{...}`` where a credential goes."""

    method: str
    target: str
    version: str
    fields: tuple[str, ...]
    body: bytes = b""

    def written(self, credentials: Proofs) -> bytes:
        lines = [f"{self.method} {self.target} {self.version}", *self.fields, "", ""]
        text = "\r\n".join(lines)
        for name, ticket in credentials.tickets.items():
            text = text.replace(f"{{{name}}}", ticket)
        for name, etag in credentials.etags.items():
            text = text.replace(f"{{etag of {name}}}", etag)
        text = text.replace("{cookie}", credentials.cookie).replace("{token}", credentials.token)
        return text.replace("{date}", credentials.date).encode("latin-1") + self.body


def staying(request: Request) -> Request:
    """The same on a connection that goes on.

    What comes behind the last request of a connection makes the system reset it, and how much of
    the answer arrives before is left to chance.
    """
    fields = tuple(line for line in request.fields if not line.startswith("Connection: close"))
    return replace(request, version="HTTP/1.1", fields=fields)


@dataclass(frozen=True)
class Burst:
    """Requests that are sent without waiting, cut up at ``cuts``, each a part of the whole."""

    requests: tuple[Request, ...]
    cuts: tuple[float, ...]

    def pieces(self, credentials: Proofs) -> list[bytes]:
        *before, last = self.requests
        whole = b"".join(each.written(credentials) for each in (*map(staying, before), last))
        places = sorted({0, len(whole), *(round(cut * len(whole)) for cut in self.cuts)})
        return [whole[start:end] for start, end in pairwise(places)]


CREDENTIALS = {
    "ticket": ("?ticket={{{name}}}", ()),
    "cookie": ("", ("Cookie: {cookie}",)),
    "Bearer": ("", ("Authorization: Bearer {token}",)),
    "none": ("", ()),
}
"""What is appended to a stream's path, and the fields that go with it."""


def stream_of(name: str, credential: str, base: str = "") -> tuple[str, tuple[str, ...]]:
    """Return the target and the fields of a plain request for a stream."""
    query, fields = CREDENTIALS[credential]
    return f"{base}/tracks/stream/{name}{query.format(name=name)}", fields


streams = st.builds(
    stream_of,
    st.sampled_from([*SIZES]),
    st.sampled_from([*CREDENTIALS]),
    st.sampled_from(["", "/api"]),
)
others = st.sampled_from(
    [
        "/tracks/stream/small",  # with a cookie or a header, or refused
        "/tracks/stream/long",
        "/tracks/stream/small?ticket={long}",
        "/tracks/stream/his?ticket={his}",
        "/tracks/stream/none?ticket={small}",
        "/tracks/stream/small?ticket=1.2.3",
        "/tracks/stream/%73mall?ticket={small}",
        "/tracks/stream/small?ticket={small}&x=1",
        "/tracks/stream/small/?ticket={small}",
        "/tracks/stream/small?ticket={small}#x",
        "//tracks/stream/small?ticket={small}",
        "http://here/tracks/stream/small?ticket={small}",
        "/tracks/cover/small?ticket={small}",
        "/tracks/small",
        "/healthz",
        "/nowhere",
    ]
)
numbers = st.integers(0, 400_000) | st.sampled_from([4, 5, 11_007, 11_008, 299_999, 10**18, 10**20])
ranges = st.one_of(
    st.builds("bytes={}-{}".format, numbers, numbers),
    st.builds("bytes={}-".format, numbers),
    st.builds("bytes=-{}".format, numbers),
    st.builds("bytes={}-{}".format, st.integers(0, 4), st.integers(0, 4)),
    st.sampled_from(
        [
            *(
                "bytes=0-0,2-3",
                "bytes=0-4,",
                "bytes = 1-2",
                "Bytes=1-2",
                "bytes=1 - 2",
                "bytes=--1",
            ),
            *(
                "bytes=00001-00002",
                "bytes=5-4",
                "lines=1-2",
                "bytes",
                "bytes=",
                "",
                "\t bytes=1-2 \t",
            ),
        ]
    ),
)
plain_fields = st.sampled_from(
    [
        "Accept: */*",
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64)",
        "Accept-Encoding: identity;q=1, *;q=0",
        "Connection: keep-alive",
        "Referer: http://here/",
        "Cookie: a=b",
        "If-Range: {etag of small}",
        "X-Note: Range: bytes=0-1",
        "X-Long: " + "x" * 3900,
    ]
)
odd_fields = st.sampled_from(
    [
        "Connection: close",
        "Connection: Keep-Alive, x",
        "connection: KEEP-ALIVE",
        "Cookie: a=b; {cookie}; c=d",
        'Cookie: a="b c"; {cookie}',
        "Cookie: {cookie}; {cookie}x",
        "Cookie: {cookie}x",
        "Cookie: {cookie}; x",
        "Authorization: bearer  {token}",
        "Authorization: Bearer nonsense",
        "Authorization: Basic YTpi",
        "Authorization:",
        "Origin: https://elsewhere.example",
        "If-Range: {etag of long}",
        "If-Range: W/{etag of small}",
        "If-Range: {date}",
        "If-None-Match: {etag of small}",
        "If-None-Match: *",
        "If-Match: {etag of long}",
        "If-Modified-Since: {date}",
        "If-Unmodified-Since: Mon, 01 Jan 2001 00:00:00 GMT",
        "Range: bytes=7-8",
        "Upgrade: h2c",
        "TE: trailers",
        "Expect: 100-continue",
        "Content-Length: 0",
        "X-Empty:",
        "X-Tab:\tx\t",
        "X-High: \xe9\xff",
    ]
)
malformed_fields = st.sampled_from(
    [
        "Host: there",
        "X : y",
        " folded",
        "no colon",
        "X: \x00",
        "X: a\rb",
        "Content-Length: 1_0",
        "Content-Length: -1",
        "Transfer-Encoding: xchunked",
        ": no name",
        "X-\xe9: x",
    ]
)


def beside(credential: tuple[str, ...], named: list[str]) -> list[str]:
    """Return the fields with a credential among them, none of them twice."""
    taken = {each.partition(":")[0] for each in credential}
    return [*credential, *(each for each in named if each.partition(":")[0] not in taken)]


@st.composite
def requests(draw: st.DrawFn, fields: st.SearchStrategy[str] = plain_fields) -> Request:
    """A GET or HEAD."""
    method = draw(st.sampled_from(["GET", "GET", "GET", "GET", "HEAD"]))
    version = draw(st.sampled_from(["HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0"]))
    named = draw(st.lists(fields, max_size=4, unique_by=lambda field: field.partition(":")[0]))
    asked = draw(st.none() | ranges)
    name = draw(st.sampled_from(["Range", "Range", "range", "RANGE"]))
    target, credential = draw(streams | others.map(lambda target: (target, ())))
    named = beside(credential, named)
    lines = ["Host: here", *named, *([] if asked is None else [f"{name}: {asked}"])]
    order = draw(st.permutations(lines)) if draw(st.booleans()) else lines
    return Request(method, target, version, tuple(order))


@st.composite
def plain_requests(draw: st.DrawFn) -> Request:
    """As players send them: what the fast path is there for."""
    named = draw(st.lists(plain_fields, max_size=3, unique_by=lambda line: line.partition(":")[0]))
    asked = draw(st.none() | ranges)
    target, credential = draw(streams)
    named = beside(credential, named)
    lines = ["Host: here", *named, *([] if asked is None else [f"Range: {asked}"])]
    return Request("GET", target, "HTTP/1.1", tuple(lines))


@st.composite
def commands(draw: st.DrawFn) -> Request:
    """What has a body, or another method than a stream knows."""
    body = draw(st.sampled_from([b"", b'{"currentTime": 7, "isPlaying": false}', b"nonsense"]))
    fields = ["Host: here", draw(st.sampled_from(["Authorization: Bearer {token}", "X: y"]))]
    if draw(st.booleans()):
        fields.append(f"Content-Length: {len(body)}")
    else:
        fields.append("Transfer-Encoding: chunked")
        body = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"
    method, target = draw(
        st.sampled_from(
            [
                ("POST", "/tracks/update-state/small"),
                ("POST", "/tracks/stream/small?ticket={small}"),
                ("GET", "/tracks/stream/small?ticket={small}"),
                ("PUT", "/tracks/stream/small?ticket={small}"),
                ("OPTIONS", "/tracks/stream/small"),
                ("DELETE", "/session"),
                ("GET", "/healthz"),
            ]
        )
    )
    return Request(method, target, "HTTP/1.1", tuple(fields), body)


@st.composite
def malformed(draw: st.DrawFn) -> Request:
    """What no server takes. It is the last request of its connection."""
    found = draw(plain_requests())
    named = tuple(line for line in found.fields if not line.startswith("Connection"))
    fields, version = (*named, "Connection: close"), found.version
    if draw(st.booleans()):
        fields = (*fields, draw(malformed_fields))
    else:
        version = draw(st.sampled_from(["HTTP/1.2", "HTTP/2.0", "http/1.1", "HTTP/1.1 ", "", "x"]))
    return Request("GET", found.target, version, fields)


cuts = st.lists(st.floats(0, 1), max_size=3).map(tuple)
any_request = requests() | requests(plain_fields | odd_fields) | commands()
plain_bursts = st.builds(Burst, st.tuples(plain_requests()), st.just(()))
any_bursts = st.one_of(
    plain_bursts,
    st.builds(Burst, st.tuples(any_request), cuts),
    st.builds(Burst, st.lists(any_request, min_size=2, max_size=AT_ONCE).map(tuple), cuts),
)


@st.composite
def sequences(draw: st.DrawFn) -> list[Burst]:
    """What one connection is asked: first as players ask, then anything, and perhaps nonsense.

    Once something came that is not plain the fast path leaves the connection alone.
    """
    end = [Burst((draw(malformed()),), ())] if draw(st.booleans()) else []
    return [
        *draw(st.lists(plain_bursts, max_size=6)),
        *draw(st.lists(any_bursts, max_size=3)),
        *end,
    ]


def answers(server: ServerProcess, sequence: list[Burst], credentials: Proofs) -> list[bytes]:
    """What one connection gets, answer by answer; the last is what was left when it ended."""
    found: list[bytes] = []
    with BlockingConnection(server.port) as line:
        for burst in sequence:
            line.send(*burst.pieces(credentials), pause=0.001)
            for request in burst.requests:
                if request is burst.requests[-1] and "Connection: close" in request.fields:
                    return [*found, line.read_to_end()]
                found.append(read_answer(line, request.method))
        line.end_sending()
        return [*found, line.read_to_end()]


def read_answer(line: BlockingConnection, method: str) -> bytes:
    """One answer, nothing where the connection has ended. An interim one is a part of it."""
    head = line.read_until(b"\r\n\r\n")
    if head.startswith(b"HTTP/1.1 100"):
        return head + read_answer(line, method)
    length = re.search(rb"\r\nContent-Length: ([0-9]+)\r\n", head)
    has_body = method != "HEAD" and length is not None and not head.startswith(b"HTTP/1.1 304")
    return head + (line.read(int(length[1])) if length is not None and has_body else b"")


def comparable(answer: bytes) -> bytes:
    """An answer without the time that it names, and without the bytes that aiohttp's parser quotes.

    It quotes what has arrived until then, which depends on how TCP has split the request.
    """
    if answer.startswith(b"HTTP/1.0 400 ") and b"Content-Type: text/plain" in answer:
        return answer.partition(b"\r\n")[0]
    answer = re.sub(rb"\r\nDate: [^\r]*", b"", answer)
    return re.sub(rb'"(updatedAt|serverTime)":[0-9]+', b"", answer)


def compare(pair: Pair, sequence: list[Burst]) -> None:
    ours, theirs = (
        [comparable(answer) for answer in answers(server, sequence, pair.credentials)]
        for server in (pair.with_it, pair.without)
    )
    for number, (one, other) in enumerate(zip(ours, theirs, strict=False)):
        assert one == other, f"answer {number}"
    assert len(ours) == len(theirs)


@given(sequences())
@rounds(
    max_examples=times(150),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_both_servers_give_the_same_answers(pair: Pair, sequence: list[Burst]) -> None:
    compare(pair, sequence)


@pytest.mark.parametrize("credential", CREDENTIALS)
def test_pipelined_requests_get_the_same_answers_wherever_they_are_split(
    pair: Pair, credential: str
) -> None:
    pipelined = []
    for name, asked in (("small", "bytes=0-99"), ("long", "bytes=7-200007")):
        target, fields = stream_of(name, credential)
        pipelined.append(
            Request("GET", target, "HTTP/1.1", ("Host: here", *fields, f"Range: {asked}"))
        )
    length = sum(len(each.written(pair.credentials)) for each in pipelined)
    for place in range(1, length):
        compare(pair, [Burst(tuple(pipelined), (place / length,))])


@pytest.mark.parametrize("credential", CREDENTIALS)
def test_a_request_that_comes_byte_by_byte_gets_the_same_answer(
    pair: Pair, credential: str
) -> None:
    target, fields = stream_of("small", credential)
    request = Request("GET", target, "HTTP/1.1", ("Host: here", *fields, "Range: bytes=-9"))
    length = len(request.written(pair.credentials))
    compare(pair, [Burst((request,), tuple(place / length for place in range(1, length)))])

"""Parsing plain range requests: whole, unambiguous, and the same whether or not they repeat."""

from __future__ import annotations

import pytest
from aiohttp import web
from hypothesis import HealthCheck, given
from hypothesis import settings as rounds
from hypothesis import strategies as st

from audiostream.auth.access_tokens import Tokens
from audiostream.auth.cookies import SessionCookie
from audiostream.ops.proxies import Client
from audiostream.streaming.fastpath.request import MAX_HEAD, RangeRequest, parse_head
from audiostream.streaming.ranges import ByteRangeSpec
from tests.support.browser_requests import CHROMIUM_FIELDS
from tests.unit.test_worst_inputs import slow_inputs


class FixedNameCookie(SessionCookie):
    """A session cookie whose name does not depend on the server."""

    def name(self, host: str, *, is_tls: bool) -> str:
        return "audiostream_session"


COOKIE = FixedNameCookie(web.Application(), Tokens("secret"))
CLIENT = Client("127.0.0.1", False, "here")
STREAM = "/tracks/stream/a"


def head(*fields: str, target: str = STREAM) -> bytes:
    lines = [f"GET {target} HTTP/1.1", "Host: here", *fields, "", ""]
    return "\r\n".join(lines).encode()


def parse(data: bytes) -> tuple[RangeRequest, ByteRangeSpec] | None:
    parsed = parse_head(data)
    return parsed and RangeRequest.parse(data, parsed, COOKIE, lambda _: CLIENT)


def values(request: RangeRequest) -> tuple[object, ...]:
    return (
        request.target,
        request.track_id,
        request.authorization,
        request.ticket,
        request.cookie,
        request.if_range,
        request.client,
    )


class TestCredentials:
    def test_all_three_are_found_in_one_request(self) -> None:
        parsed = parse(
            head(
                "Authorization: Bearer abc",
                "Cookie: a=b; audiostream_session=1.YQ.x; c=d",
                target=f"{STREAM}?ticket=1.2.3",
            )
        )
        assert parsed is not None
        request, _ = parsed
        assert (request.authorization, request.ticket) == ("Bearer abc", "1.2.3")
        assert request.cookie == "1.YQ.x"

    def test_a_request_without_any_is_plain_too(self) -> None:
        parsed = parse(head())
        assert parsed is not None
        request, _ = parsed
        assert (request.authorization, request.ticket, request.cookie) == (None, None, None)

    @pytest.mark.parametrize(
        "cookies", ['audiostream_session="1.2.3"', "a; audiostream_session=1.2.3", "x=%; a=b"]
    )
    def test_an_unusual_cookie_field_is_left_to_aiohttp_if_it_names_the_session(
        self, cookies: str
    ) -> None:
        assert (parse(head(f"Cookie: {cookies}")) is None) == ("session" in cookies)


plain_fields = st.lists(
    st.sampled_from(
        [
            "Range: bytes=0-9",
            "Range: bytes=-3",
            "Accept: */*",
            "User-Agent: x",
            "Authorization: Bearer x",
            "Connection: keep-alive",
            "Connection: Upgrade",
            "Transfer-Encoding: chunked",
            "Content-Length: 0",
            "Expect: 100-continue",
            "Host: there",
            "X : y",
            " folded",
            "Cookie: a=b; audiostream_session=x",
            "If-Range: x",
        ]
    ),
    max_size=4,
)


@given(fields=plain_fields, cut=st.integers(0, 400), junk=st.binary(max_size=3))
@rounds(suppress_health_check=[HealthCheck.too_slow])
def test_what_is_parsed_is_one_whole_request_without_a_body(
    fields: list[str], cut: int, junk: bytes
) -> None:
    whole = head(*fields, target="/x")
    for data in (whole[:cut], whole[:cut] + junk + whole[cut:], whole + junk, whole + whole):
        found = parse_head(data)
        if found is None:
            continue
        assert data.count(b"\r\n\r\n") == 1
        assert data.endswith(b"\r\n\r\n")
        names = [line.partition(b":")[0].lower() for line in data.split(b"\r\n")[1:-2]]
        assert len(set(names)) == len(names)
        assert b"host" in names
        assert not {b"content-length", b"transfer-encoding", b"upgrade", b"expect"} & set(names)
        assert found[1].get(b"connection", b"keep-alive").lower() == b"keep-alive"


positions = st.one_of(st.integers(0, 10**19).map(str), st.text("0123456789 -,=", max_size=20))
range_values = st.one_of(
    st.builds("bytes={}-{}".format, positions, positions),
    st.builds("bytes={}-{}".format, st.integers(0, 99), st.integers(0, 99)),
    st.sampled_from(["bytes=0-", "Bytes=1-2", " bytes=1-2", "bytes=1-2\t", "x", ""]),
)
more_fields = st.lists(
    st.one_of(
        st.sampled_from(
            [*CHROMIUM_FIELDS, 'If-Range: "1-2-3"', "X: bytes=0-4", "X-Range: bytes=1-2"]
        ),
        st.builds("Cookie: {}".format, st.sampled_from(["audiostream_session=a.b.c", "a=b"])),
        st.builds("Authorization: Bearer {}".format, st.sampled_from(["a.b.c", "bytes=0-4"])),
        st.builds("X: {}".format, st.sampled_from(["Range: bytes=0-9", "a" * 3850])),
    ),
    max_size=4,
    unique_by=lambda field: field.partition(":")[0],
)
targets = st.sampled_from([STREAM, f"/api{STREAM}?ticket=1.2.3", "/healthz"])


@given(
    target=targets,
    before=more_fields,
    after=more_fields,
    name=st.sampled_from(["Range: ", "range:", "RANGE: \t"]),
    first=range_values,
    second=range_values,
    junk=st.tuples(st.integers(0, 400), st.integers(0, 9), st.binary(max_size=9)),
)
@rounds(suppress_health_check=[HealthCheck.too_slow])
def test_a_repeated_request_gives_what_parsing_all_of_it_gives(
    target: str,
    before: list[str],
    after: list[str],
    name: str,
    first: str,
    second: str,
    junk: tuple[int, int, bytes],
) -> None:
    def request(value: str) -> bytes:
        return head(*before, f"{name}{value}", *after, target=target)

    found = parse(request(first))
    if found is None:
        return
    last, _ = found
    like, (place, gone, put) = request(second), junk
    for data in (like, like[:place] + put + like[place + gone :], like + put, put + like, like * 2):
        spec = last.match_repeat(data)
        if spec is not None:
            in_full = parse(data)
            assert in_full is not None
            assert (values(last), spec) == (values(in_full[0]), in_full[1])
            assert len(data) <= MAX_HEAD


def test_a_repeated_request_may_differ_in_the_positions_alone() -> None:
    def request(value: str) -> bytes:
        fields = (f"Range: {value}", 'If-Range: "1-2-3"')
        return head(*fields, target=f"{STREAM}?ticket=1.2.3")

    found = parse(request("bytes=0-"))
    assert found is not None
    assert found[0].match_repeat(request("bytes=7-")) == (7, None)
    assert found[0].match_repeat(request("bytes=00123-456")) == (123, 456)
    assert found[0].match_repeat(request("bytes=-5")) is None
    assert found[0].match_repeat(request("bytes=1-2").replace(b"1.2.3", b"1.2.4")) is None
    assert found[0].match_repeat(request("bytes=1-2").replace(b"1-2-3", b"1-2-4")) is None


def parse_as_each_part(text: str) -> None:
    """As the target, a field's name and its value."""
    data = text.encode("utf-8", "replace").replace(b"\0", b"")
    parse(b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n" % data)
    parse(b"GET / HTTP/1.1\r\n%s: x\r\n\r\n" % data)
    for name in ("Range", "Cookie", "If-Range", "Authorization", "X"):
        request = head(f"{name}: a", target=f"{STREAM}?ticket=1.YQ.c2ln")
        request = request.replace(b": a\r\n", b": a%sb\r\n" % data)
        if (found := parse(request)) is not None:
            found[0].match_repeat(request)


def test_parsing_twice_the_bytes_takes_twice_the_time() -> None:
    assert slow_inputs(parse_as_each_part, MAX_HEAD - 300) == []

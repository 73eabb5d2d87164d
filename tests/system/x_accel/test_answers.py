"""What comes through nginx is what the server answers itself, whoever sends the bytes.

A request is sent through nginx, to the server itself, which answers it alone, and to the server as
a trusted proxy would forward it, to see whether nginx is to send the bytes.
"""

from __future__ import annotations

import os
import random
import re
import time
from email.utils import formatdate
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest

from audiostream.library.formats import AUDIO_TYPES
from tests.support.blocking_connection import BlockingConnection
from tests.support.raw_http import bearer, request
from tests.support.server_process import module_server
from tests.support.x_accel_site import (
    CONTENT,
    LONG_AGO,
    ODD_NAMES,
    ORIGIN,
    SIZE,
    Site,
    assert_same,
    put,
)

SENT_BY_NGINX: dict[str, dict[str, str]] = {
    "the whole file": {},
    "the first byte": {"Range": "bytes=0-0"},
    "the first bytes": {"Range": "bytes=0-999"},
    "the middle": {"Range": "bytes=1000-199999"},
    "all from a byte on": {"Range": "bytes=299000-"},
    "the whole file as a range": {"Range": "bytes=0-"},
    "a suffix": {"Range": "bytes=-1000"},
    "a suffix longer than the file": {"Range": "bytes=-999999"},
    "an end beyond the file": {"Range": "bytes=299999-999999999999999999"},
    "a range under the right ETag": {"Range": "bytes=5-9", "If_Range": "ETAG"},
    "a range under a wrong ETag": {"Range": "bytes=5-9", "If_Range": '"other"'},
    "a range under nginx's own ETag": {"Range": "bytes=5-9", "If_Range": "NGINX"},
    "a page of another origin": {"Range": "bytes=5-9", "Origin": ORIGIN},
    "a page of an origin that is not allowed": {"Origin": "https://evil.example"},
    "an accepted compression": {"Accept_Encoding": "gzip, br"},
    "a forged redirect": {"X_Accel_Redirect": "/protected/users/bob/his.webm"},
    "forged headers of nginx": {
        "X_Nginx_ETag": '"1"',
        "X_Accel_Limit_Rate": "1",
        "X_Accel_Buffering": "yes",
        "X_Sendfile": "/etc/passwd",
    },
}
SENT_BY_THE_SERVER: dict[str, dict[str, str]] = {
    "a current ETag": {"If_None_Match": "ETAG"},
    "an outdated ETag": {"If_None_Match": '"other"'},
    "nginx's own ETag": {"If_None_Match": "NGINX"},
    "any ETag": {"If_None_Match": "*"},
    "a date since which it has not changed": {"If_Modified_Since": "DATE"},
    "a date since which it has changed": {"If_Modified_Since": formatdate(0, usegmt=True)},
    "a required ETag": {"If_Match": "ETAG"},
    "a required ETag that it has not": {"If_Match": '"other"'},
    "a required date": {"If_Unmodified_Since": "DATE"},
    "a required date that is none": {"If_Unmodified_Since": "yesterday"},
    "a required date in the past": {"If_Unmodified_Since": formatdate(0, usegmt=True)},
    "a range under the right date": {"Range": "bytes=5-9", "If_Range": "DATE"},
    "a range under a wrong date": {"Range": "bytes=5-9", "If_Range": formatdate(0, usegmt=True)},
    "a range under a weak ETag": {"Range": "bytes=5-9", "If_Range": "W/ETAG"},
    "a range beyond the end": {"Range": "bytes=300000-"},
    "an empty suffix": {"Range": "bytes=-0"},
    "a range beyond the end under a wrong ETag": {"Range": "bytes=300000-", "If_Range": '"other"'},
    "several ranges": {"Range": "bytes=0-9,20-29"},
    "several ranges of which one is beyond the end": {"Range": "bytes=0-9,300000-"},
    "a range backwards": {"Range": "bytes=9-5"},
    "a range that is none": {"Range": "bytes=a-b"},
    "a number beyond 64 bits": {"Range": f"bytes=5-{10**25}"},
    "another unit": {"Range": "seconds=0-4"},
    "a spelling of another time": {"Range": "Bytes=0-9"},
}


class TestAnswers:
    """What comes through nginx is what the server answers itself."""

    def filled(self, site: Site, headers: dict[str, str]) -> dict[str, str]:
        """The headers with the validators of the file."""
        status = (site.media / "song.webm").stat()
        values = {
            "ETAG": site.ask_server().headers["etag"],
            "DATE": formatdate(LONG_AGO, usegmt=True),
            "NGINX": f'"{LONG_AGO:x}-{status.st_size:x}"',
        }
        return {
            name: re.sub("ETAG|DATE|NGINX", lambda match: values[match[0]], text)
            for name, text in headers.items()
        }

    @pytest.mark.parametrize("asked", SENT_BY_NGINX)
    def test_nginx_sends_the_bytes_that_the_server_would_send(self, site: Site, asked: str) -> None:
        headers = self.filled(site, SENT_BY_NGINX[asked])
        assert site.redirect(**headers) == "/protected/song.webm"
        answer = site.ask(**headers)
        assert_same(answer, site.ask_server(**headers))
        assert answer.status in (200, 206)
        assert answer.headers["content-type"] == "audio/webm"

    @pytest.mark.parametrize("asked", SENT_BY_THE_SERVER)
    def test_the_server_answers_itself_what_nginx_reads_in_another_way(
        self, site: Site, asked: str
    ) -> None:
        headers = self.filled(site, SENT_BY_THE_SERVER[asked])
        assert site.redirect(**headers) is None
        assert_same(site.ask(**headers), site.ask_server(**headers))

    @pytest.mark.parametrize("asked", [{}, {"Range": "bytes=5-9"}, {"Range": "bytes=300000-"}])
    def test_head_is_answered_with_the_headers_of_the_whole_file(
        self, site: Site, asked: dict[str, str]
    ) -> None:
        assert site.redirect(method="HEAD", **asked) is None
        answer = site.ask(method="HEAD", **asked)
        assert (answer.status, answer.headers["content-length"]) == (200, str(SIZE))
        assert_same(answer, site.ask_server(method="HEAD", **asked))

    def test_both_ways_of_the_server_hand_over_the_same_requests(self, site: Site) -> None:
        def head(port: int, headers: dict[str, str]) -> list[str]:
            fields = site.fields("ada", {"X_Forwarded_For": "203.0.113.9", **headers})
            with BlockingConnection(port) as connection:
                kept = fields | {"Connection": "keep-alive"}
                connection.send(request("GET", "/tracks/stream/song", kept))
                lines = connection.read_until(b"\r\n\r\n").decode().splitlines()
            # aiohttp_cors exposes headers in an order that each process draws anew.
            differ = ("Date:", "Access-Control-Expose-Headers:")
            return sorted(line for line in lines if not line.startswith(differ))

        environ = {"AUDIOSTREAM_X_ACCEL": "/protected/", "CORS_ORIGINS": ORIGIN}
        environ |= {"AUDIOSTREAM_TRUSTED_PROXIES": "127.0.0.1", "AUDIOSTREAM_FAST_PATH": "0"}
        with module_server(site.media, **environ) as aiohttp_alone:
            for asked in (SENT_BY_NGINX | SENT_BY_THE_SERVER).values():
                headers = self.filled(site, asked)
                assert head(site.server.port, headers) == head(aiohttp_alone.port, headers)

    def test_random_ranges_have_the_same_answers(self, site: Site) -> None:
        dice = random.Random(4)  # noqa: S311 - repeatable on purpose
        numbers = ("", "0", "1", "0299999", "299999", "300000", "300001", "9" * 18, "9" * 19, "x")
        etag = site.ask_server().headers["etag"]
        sent_by_nginx = 0
        for _ in range(100):
            ranges = [
                dice.choice(("-",) * 8 + ("--", "", " - ")).join(dice.choices(numbers, k=2))
                for _ in range(dice.choice((1, 1, 1, 1, 2)))
            ]
            headers = {"Range": "bytes=" + dice.choice((",", ", ")).join(ranges)}
            if dice.random() < 0.3:
                headers["If_Range"] = dice.choice((etag, '"other"', etag[:-1], f" {etag}", ""))
            assert_same(site.ask(**headers), site.ask_server(**headers))
            sent_by_nginx += site.redirect(**headers) is not None
        assert sent_by_nginx > 10

    def test_several_requests_on_one_connection_are_answered_in_order(self, site: Site) -> None:
        with BlockingConnection(site.proxy_port) as connection:
            token = bearer(site.tokens.mint("ada", time.time(), None))
            for start in (0, 1000, 2000):
                headers = token | {
                    "Range": f"bytes={start}-{start + 4}",
                    "Connection": "keep-alive",
                }
                connection.send(request("GET", "/tracks/stream/song", headers))
            for start in (0, 1000, 2000):
                assert b" 206 " in connection.read_until(b"\r\n")
                connection.read_until(b"\r\n\r\n")
                assert connection.read(5) == CONTENT[start : start + 5]

    def test_an_empty_file_is_answered_by_the_server(self, site: Site) -> None:
        assert site.redirect("empty") is None
        assert_same(site.ask("empty"), site.ask_server("empty"))

    def test_a_file_from_the_future_keeps_a_date_that_has_come(
        self, site: Site, song: Path
    ) -> None:
        put(song, CONTENT, time.time() + 1000)
        assert site.redirect() is None
        assert (site.ask().status, site.ask().body) == (200, CONTENT)

    @pytest.mark.parametrize("suffix", AUDIO_TYPES)
    def test_a_file_of_every_suffix_has_its_media_type(self, site: Site, suffix: str) -> None:
        assert site.redirect(suffix[1:]) == f"/protected/formats/file{suffix}"
        answer = site.ask(suffix[1:])
        assert (answer.status, answer.headers["content-type"]) == (200, AUDIO_TYPES[suffix])
        assert answer.body == f"formats/file{suffix}".encode()

    @pytest.mark.parametrize("number", range(len(ODD_NAMES)))
    def test_a_file_with_an_odd_name_is_sent(self, site: Site, number: int) -> None:
        target = site.redirect(f"odd{number}")
        assert target is not None
        assert re.fullmatch(r"/protected/[A-Za-z0-9_.~%/-]+", target)
        assert unquote_to_bytes(target) == b"/protected/" + os.fsencode(ODD_NAMES[number])
        answer = site.ask(f"odd{number}", Range="bytes=0-99999")
        assert (answer.status, answer.body) == (206, CONTENT[:100_000])

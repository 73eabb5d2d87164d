"""Who gets bytes that nginx sends: whoever passes the server's checks, and nobody else."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.blocking_connection import BlockingConnection
from tests.support.raw_http import request
from tests.support.server_process import module_server
from tests.support.waiting import wait_until
from tests.support.x_accel_site import CONTENT, Site, put, running_site, send

MAX_STREAMS = 16
"""Answers that nginx sends to one address at once, by the documented ``limit_conn``."""


class TestAccess:
    def test_a_user_s_own_track_is_sent_to_that_user_alone(self, site: Site) -> None:
        assert site.redirect("hers") == "/protected/users/ada/hers.webm"
        assert (site.ask("hers").status, site.ask("hers").body) == (200, CONTENT)
        for track, user in (("hers", "bob"), ("his", "ada"), ("nowhere", "ada")):
            assert site.ask(track, user=user).essence == (404, "track_not_found")
        assert site.ask(user=None).essence == (401, "unauthorized")

    def test_a_ticket_and_a_session_cookie_open_a_stream_too(self, site: Site) -> None:
        now, part = time.time(), {"Range": "bytes=5-9"}
        ticket = site.tokens.ticket("ada", "hers", 60.0, now)
        assert site.ask(f"hers?ticket={ticket}", user=None, **part).body == CONTENT[5:10]
        assert site.ask(f"song?ticket={ticket}", user=None, **part).status == 401
        session = send(site.proxy_port, "POST", "/session", site.fields("ada", {}))
        cookie = session.headers["set-cookie"].partition(";")[0]
        assert site.ask("hers", user=None, Cookie=cookie, **part).body == CONTENT[5:10]

    def test_public_streams_need_no_credential(self, tmp_path: Path) -> None:
        put(tmp_path / "media/song.webm", CONTENT)
        with running_site(tmp_path / "media", AUDIOSTREAM_STREAM_AUTH="public") as site:
            listed = send(site.server.port, "GET", "/tracks", site.fields("ada", {}))
            [track] = json.loads(listed.body)["tracks"]
            answer = site.ask(track["id"], user=None, Range="bytes=5-9")
            assert (answer.status, answer.body) == (206, CONTENT[5:10])

    def test_a_revoked_user_gets_401_and_no_bytes(self, site: Site) -> None:
        headers = site.fields("bob", {})
        path = "/tracks/stream/his"
        assert send(site.proxy_port, "GET", path, headers).body == CONTENT
        site.revoke("bob")
        wait_until(lambda: send(site.proxy_port, "GET", path, headers).status != 200)
        assert send(site.proxy_port, "GET", path, headers).essence == (401, "unauthorized")

    @pytest.mark.parametrize(
        "path",
        [
            "/protected/song.webm",
            "/protected/users/bob/his.webm",
            "/protected/",
            "/protected",
            "//protected/song.webm",
            "/x/../protected/song.webm",
            "/%70rotected/song.webm",
            "/protected%2fsong.webm",
            "/protected/../protected/song.webm",
            "/tracks/stream/..%2f..%2fprotected%2fsong.webm",
        ],
    )
    def test_the_location_cannot_be_asked_for(self, site: Site, path: str) -> None:
        for method in ("GET", "HEAD", "POST"):
            headers = site.fields("ada", {"X-Accel-Redirect": "/protected/song.webm"})
            answer = send(site.proxy_port, method, path, headers)
            assert answer.status in (404, 405)
            assert CONTENT[:100] not in answer.body

    def test_a_request_that_no_trusted_proxy_forwards_gets_the_bytes(self, site: Site) -> None:
        answer = site.ask_server(Range="bytes=0-9")
        assert (answer.status, answer.body) == (206, CONTENT[:10])
        with module_server(
            site.media,
            AUDIOSTREAM_X_ACCEL="/protected/",
            AUDIOSTREAM_TRUSTED_PROXIES="192.0.2.1",
        ) as elsewhere:
            headers = site.fields("ada", {"X-Forwarded-For": "192.0.2.1", "Range": "bytes=0-9"})
            answer = send(elsewhere.port, "GET", "/tracks/stream/song", headers)
            assert (answer.status, answer.body) == (206, CONTENT[:10])
            assert "x-accel-redirect" not in answer.headers

    def test_nginx_limits_the_streams_of_an_address(self, site: Site) -> None:
        headers = site.fields("ada", {"Connection": "keep-alive"})
        with ExitStack() as stack:
            for _ in range(MAX_STREAMS):
                stalled = stack.enter_context(BlockingConnection(site.proxy_port))
                stalled.send(request("GET", "/tracks/stream/large", headers))
                assert b" 200 " in stalled.read_until(b"\r\n")
            assert site.ask().status == 429
            assert site.ask(method="HEAD").status == 200
        wait_until(lambda: site.ask().status == 200)

"""Files that change before the server checks them, and between its check and nginx's ``open``."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.blocking_connection import BlockingConnection
from tests.support.nginx import running_nginx, x_accel_directives
from tests.support.raw_http import Answer, request
from tests.support.waiting import PATIENCE
from tests.support.x_accel_site import CONTENT, LONG_AGO, NEW, SECRETS, Site, put


@contextmanager
def swapped_for_link(site: Site, of: str) -> Iterator[None]:
    """A link to ``SECRETS`` in place of the file of ``song``, or of the folder of ``hers``."""
    secret, aside = site.media.parent / "secret", site.media.parent / "aside"
    put(secret / "song.webm", SECRETS)
    put(secret / "hers.webm", SECRETS)
    path = site.media / ("song.webm" if of == "file" else "users/ada")
    path.rename(aside)
    path.symlink_to(secret / "song.webm" if of == "file" else secret)
    yield
    path.unlink()
    aside.rename(path)


@dataclass
class LateAnswer:
    """A server that checked a request for a track long ago, and answers it now."""

    site: Site
    proxy_port: int
    listener: socket.socket

    def check(self, track: str = "song", **headers: str) -> None:
        """Let the real server check the request that ``ask`` is to send."""
        self.headers = self.site.fields("ada", headers)
        forwarded = self.headers | {"X-Forwarded-For": "203.0.113.9"}
        with BlockingConnection(self.site.server.port) as connection:
            connection.send(request("GET", f"/tracks/stream/{track}", forwarded))
            self.answer = connection.read_to_end()
        assert b"X-Accel-Redirect" in self.answer

    def ask(self) -> Answer:
        """Send the request through nginx, and answer what the real server answered."""
        with BlockingConnection(self.proxy_port) as connection:
            connection.send(request("GET", "/tracks/stream/x", self.headers))
            upstream, _ = self.listener.accept()
            with upstream:
                upstream.recv(65536)
                upstream.sendall(self.answer)
                return Answer.of(connection.read_to_end())


@pytest.fixture(scope="module")
def late(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LateAnswer]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE)
        directives = x_accel_directives(site.media, listener.getsockname()[1])
        with running_nginx(tmp_path_factory.mktemp("late"), *directives) as url:
            yield LateAnswer(site, urlsplit(url).port or 0, listener)


class TestChangedFiles:
    """Changes before a request."""

    def test_a_replaced_file_is_sent_whole_to_whoever_has_a_part_of_the_old_one(
        self, site: Site, song: Path
    ) -> None:
        old = site.ask(Range="bytes=0-9")
        put(song, NEW)  # of the same size and date: nginx's own ETag is the same
        answer = site.ask(Range="bytes=10-19", If_Range=old.headers["etag"])
        assert (answer.status, answer.body) == (200, NEW)
        assert answer.headers["etag"] != old.headers["etag"]
        answer = site.ask(Range="bytes=10-19", If_Range=answer.headers["etag"])
        assert (answer.status, answer.body) == (206, NEW[10:20])

    def test_a_file_that_was_removed_is_404(self, site: Site, song: Path) -> None:
        assert site.ask().status == 200
        song.unlink()
        assert site.ask().essence == (404, "track_not_found")

    @pytest.mark.parametrize("of", ["file", "folder"])
    def test_a_symbolic_link_never_leads_to_its_target(
        self, site: Site, song: Path, of: str
    ) -> None:
        with swapped_for_link(site, of):
            assert site.ask("song" if of == "file" else "hers").essence == (404, "track_not_found")

    def test_a_folder_or_a_pipe_in_place_of_a_file_is_404(self, site: Site, song: Path) -> None:
        song.unlink()
        os.mkfifo(song)
        assert site.ask().essence == (404, "track_not_found")
        song.unlink()
        song.mkdir()
        assert site.ask().essence == (404, "track_not_found")


class TestChangesAfterTheCheck:
    """nginx opens the path anew: what is there may have changed since the server looked."""

    def test_an_unchanged_file_is_sent_with_the_server_s_etag(
        self, site: Site, song: Path, late: LateAnswer
    ) -> None:
        etag = site.ask_server().headers["etag"]
        late.check(Range="bytes=0-9", If_Range=etag)
        answer = late.ask()
        assert (answer.status, answer.body, answer.headers["etag"]) == (206, CONTENT[:10], etag)

    @pytest.mark.parametrize(
        ("content", "mtime"), [(NEW, LONG_AGO + 1), (NEW[:-1], LONG_AGO), (NEW + b"x", LONG_AGO)]
    )
    def test_no_part_of_a_replaced_file_is_sent_under_the_etag_of_the_old_one(
        self, site: Site, song: Path, late: LateAnswer, content: bytes, mtime: float
    ) -> None:
        late.check(Range="bytes=0-9", If_Range=site.ask_server().headers["etag"])
        put(song, content, mtime)
        answer = late.ask()
        assert (answer.status, answer.body) == (200, content)
        assert "etag" not in answer.headers

    @pytest.mark.parametrize("of", ["file", "folder"])
    def test_nginx_follows_no_symbolic_link(
        self, site: Site, song: Path, late: LateAnswer, of: str
    ) -> None:
        late.check("song" if of == "file" else "hers")
        with swapped_for_link(site, of):
            answer = late.ask()
        assert answer.status in (403, 404)
        assert SECRETS[:100] not in answer.body

    def test_nginx_sends_only_regular_files(self, site: Site, song: Path, late: LateAnswer) -> None:
        late.check()
        song.unlink()
        assert late.ask().status == 404
        os.mkfifo(song)
        assert late.ask().status == 404
        song.unlink()
        song.mkdir()
        assert late.ask().status in (301, 403, 404)

"""What is said where a Redis cannot be used at the start, or should be set up otherwise."""

from __future__ import annotations

import asyncio
import logging
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from audiostream.errors import StoreError
from audiostream.storage import redis_checks
from audiostream.storage.redis_store import RedisStore
from audiostream.storage.shared_store import DeviceChanges
from tests.support.redis_server import RedisServer, reserved_port, running_redis

INFO = "redis_version:{version}\r\nrole:master\r\naof_enabled:1\r\nmaxmemory:0\r\n"


async def refusal(url: str) -> str:
    """Why a store cannot be opened; no connection and no password is left."""
    store = RedisStore(url)
    with pytest.raises(StoreError) as refused:
        await store.open()
    await store.close()
    assert "s3cret" not in str(refused.value)
    return str(refused.value)


@asynccontextmanager
async def answering(*answers: bytes) -> AsyncIterator[str]:
    """Something that gives these answers, the last one again and again; its URL."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        left = list(answers)
        while await reader.read(1 << 16):
            writer.write(left.pop(0) if len(left) > 1 else left[0])
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"redis://:s3cret@127.0.0.1:{server.sockets[0].getsockname()[1]}/0"


def bulk(text: str) -> bytes:
    return f"${len(text)}\r\n{text}\r\n".encode()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with running_redis(tmp_path, appendonly=True) as server:
        yield server


class TestRefusals:
    async def test_a_start_is_refused_where_nothing_listens(self) -> None:
        text = await refusal("redis://:s3cret@127.0.0.1:1/3")
        assert "redis://127.0.0.1:1/3 cannot be reached" in text
        assert "Is it running" in text

    async def test_a_start_is_refused_where_the_host_has_no_address(self) -> None:
        assert "cannot be reached" in await refusal("redis://:s3cret@nowhere.invalid/0")

    async def test_a_start_is_refused_where_no_socket_is_there(self, tmp_path: Path) -> None:
        assert "cannot be reached" in await refusal(f"unix://:s3cret@{tmp_path}/socket")

    async def test_a_start_is_refused_where_redis_does_not_answer(
        self, server: RedisServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(redis_checks, "START_TIMEOUT", 0.3)
        server.freeze()
        assert "does not answer" in await refusal(server.url)
        server.thaw()

    async def test_a_start_is_refused_where_redis_is_loading_its_data(self) -> None:
        loading = b"-LOADING Redis is loading the dataset in memory\r\n"
        async with answering(b"+OK\r\n", b"+OK\r\n+OK\r\n", loading) as url:
            assert "is loading its data" in await refusal(url)

    async def test_a_start_is_refused_where_another_server_answers(self) -> None:
        async with answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as url:
            assert "cannot be reached" in await refusal(url)

    async def test_a_start_is_refused_where_the_password_is_wrong_or_missing_or_not_wanted(
        self, tmp_path: Path
    ) -> None:
        with running_redis(tmp_path / "locked", password="right") as server:
            without = server.url.replace(":right@", "")
            assert "refuses the user or password" in await refusal(without)
            wrong = server.url.replace(":right@", ":s3cret@")
            assert "refuses the user or password" in await refusal(wrong)
        with running_redis(tmp_path / "open") as server:
            superfluous = server.url.replace("127.0.0.1", ":s3cret@127.0.0.1")
            assert "refuses the user or password" in await refusal(superfluous)

    async def test_a_start_is_refused_where_the_user_of_redis_lacks_rights(
        self, server: RedisServer
    ) -> None:
        server.ask("ACL", "SETUSER", "ada", "on", ">s3cret", "~*", "&*", "+@all", "-eval")
        text = await refusal(server.url.replace("127.0.0.1", "ada:s3cret@127.0.0.1"))
        assert "does not permit" in text
        rights = text.partition("ACL SETUSER name ")[2].split()
        server.ask("ACL", "SETUSER", "ada", "reset", "on", ">s3cret", *rights)
        store = RedisStore(server.url.replace("127.0.0.1", "ada:s3cret@127.0.0.1"))
        await store.open()
        subscription = store.subscription()
        receiving = asyncio.create_task(subscription.run(lambda _: None, lambda: None))
        await subscription.add("ada")
        await store.load("ada")
        await store.announce("ada", "p", DeviceChanges(removed=(1,)))
        await store.revoke("ada", 1.0)
        await store.renew("p")
        assert await store.exchange("p", {"ada": 1}, {"ada": 1}) == {"ada": (0, 0)}
        receiving.cancel()
        await asyncio.gather(receiving, return_exceptions=True)
        await store.close()

    async def test_a_start_is_refused_where_redis_is_a_replica(
        self, server: RedisServer, tmp_path: Path
    ) -> None:
        primary = ("--replicaof", f"127.0.0.1 {server.port}")
        with running_redis(tmp_path / "replica", *primary) as replica:
            text = await refusal(replica.url)
        assert "is a replica" in text
        assert "Name its primary" in text

    @pytest.mark.parametrize("version", ["5.0.14", "6.0.16"])
    async def test_a_start_is_refused_where_redis_is_too_old(self, version: str) -> None:
        answers = (b"+OK\r\n", b"+OK\r\n+OK\r\n", bulk(INFO.format(version=version)))
        async with answering(*answers) as url:
            text = await refusal(url)
        assert f"too old: {version}; 6.2 is needed" in text

    async def test_a_start_is_refused_where_the_database_does_not_exist(
        self, server: RedisServer
    ) -> None:
        assert "DB index is out of range" in await refusal(server.url[:-1] + "77")

    @pytest.mark.parametrize(
        "url", ["redis://:s3cret@host:port/0", "redis://:s3cret@host:1/0?s3cret=1"]
    )
    async def test_a_start_is_refused_where_the_url_is_wrong(self, url: str) -> None:
        assert "AUDIOSTREAM_REDIS cannot be used" in await refusal(url)

    def test_a_start_is_refused_where_the_package_is_not_installed(self) -> None:
        script = (
            "import asyncio, sys\n"
            "sys.modules['redis'] = None\n"
            "import audiostream.cli\n"
            "from audiostream.storage.redis_store import RedisStore\n"
            "asyncio.run(RedisStore('redis://127.0.0.1:1/0').open())\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        assert "StoreError: AUDIOSTREAM_REDIS needs the Python package redis" in done.stderr

    def test_the_package_is_not_imported_by_a_server_with_a_state_file(self) -> None:
        script = "import sys, audiostream.cli; sys.exit('redis' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


class TestLog:
    async def test_the_log_names_the_server_and_the_database_and_not_the_password(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, "audiostream")
        with running_redis(tmp_path, password="s3cret", appendonly=True) as server:
            store = RedisStore(server.url[:-1] + "3")
            await store.open()
            await store.close()
        assert f"at redis://127.0.0.1:{server.port}/3 (one server)" in caplog.text
        assert "s3cret" not in caplog.text
        assert not [each for each in caplog.records if each.levelno > logging.INFO]

    async def test_settings_that_lose_playback_are_warned_of(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        options = ("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
        with running_redis(tmp_path, *options) as server:
            store = RedisStore(server.url)
            await store.open()
            await store.close()
        assert "set it to noeviction" in caplog.text
        assert "set appendonly yes" in caplog.text


async def test_a_unix_socket_is_as_good_as_a_port(tmp_path: Path) -> None:
    path = tmp_path / "redis.sock"
    with running_redis(tmp_path, "--unixsocket", str(path)):
        store = RedisStore(f"unix://{path}?db=2")
        await store.open()
        await store.revoke("ada", 5.5)
        assert await store.revoked() == {"ada": 5.5}
        await store.close()


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")
async def test_a_connection_is_encrypted_and_the_certificate_checked(tmp_path: Path) -> None:
    make_certificate(tmp_path)
    files = ("--tls-cert-file", str(tmp_path / "cert.pem"), "--tls-key-file", str(tmp_path / "key"))
    options = ("--tls-ca-cert-file", str(tmp_path / "cert.pem"), "--tls-auth-clients", "no")
    with closing(reserved_port()) as reserved:
        port = reserved.getsockname()[1]
        with running_redis(tmp_path / "redis", "--tls-port", str(port), *files, *options):
            url = f"rediss://127.0.0.1:{port}/0"
            assert "certificate verify failed" in await refusal(url)
            store = RedisStore(f"{url}?ssl_ca_certs={tmp_path}/cert.pem")
            await store.open()
            await store.revoke("ada", 5.5)
            assert await store.revoked() == {"ada": 5.5}
            await store.close()


def make_certificate(folder: Path) -> None:
    """Write ``cert.pem`` of 127.0.0.1, signed by itself, and ``key``."""
    command = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1")
    subject = ("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1")
    files = ("-keyout", str(folder / "key"), "-out", str(folder / "cert.pem"))
    subprocess.run([*command, *subject, *files], check=True, capture_output=True)

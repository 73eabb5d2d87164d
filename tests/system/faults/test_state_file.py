"""A state file that is damaged, newer, in use or read-only, and a disk that is full."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from audiostream.playback.model import State
from audiostream.storage.playback_store import PendingWrite, PlaybackStore
from tests.support.server_process import START_TIMEOUT, Launch, refused_start
from tests.support.ws_client import connect
from tests.system.faults.support import (
    bytes_of,
    check_integrity,
    on_linux,
    ready,
    rest_client,
)

Token = Callable[..., str]


def damaged(state: Path) -> None:
    with closing(PlaybackStore(state)) as store:
        store.save(
            PendingWrite(user_id=f"user-{number}", state=PAUSED, now=0.0) for number in range(500)
        )
    content = bytearray(state.read_bytes())
    content[8192:12288] = b"\xaa" * 4096
    state.write_bytes(content)


def newer(state: Path) -> None:
    PlaybackStore(state).close()
    with closing(sqlite3.connect(state)) as db:
        db.execute("PRAGMA user_version = 99")


PAUSED = State(track_id="song", duration=60.0, position=30.0, rev=5)


class TestUnusableStateFile:
    @pytest.mark.parametrize(
        ("spoil", "says"), [(damaged, "is damaged"), (newer, "is of a newer audiostream")]
    )
    def test_an_unusable_state_file_is_one_line_and_exit_code_2_and_is_left_as_it_is(
        self, media: Path, state: Path, spoil: Callable[[Path], None], says: str
    ) -> None:
        spoil(state)
        before = state.read_bytes()
        code, lines = refused_start(media, state)
        assert (code, len(lines)) == (2, 1), lines
        assert says in lines[0]
        assert state.read_bytes() == before

    async def test_a_state_file_in_use_is_one_line_and_exit_code_2(
        self, launch: Launch, media: Path, token: Token, state: Path
    ) -> None:
        server = await ready(launch, "--state", str(state))
        async with rest_client(server, token()) as ada:
            await ada.post("pause/song", currentTime=30)
            await asyncio.sleep(1.0)  # the second in which it is on disk
            names = [state, state.with_name("state-wal")]
            before = [name.read_bytes() for name in names]
            code, lines = await asyncio.to_thread(refused_start, media, state)
            assert (code, len(lines)) == (2, 1), lines
            assert "in use by another server" in lines[0]
            assert [name.read_bytes() for name in names] == before
            assert (await ada.state())["currentTime"] == 30.0


@contextmanager
def mounted(place: Path, *arguments: str) -> Iterator[Path]:
    """Mount something at ``place``, or skip the test where that is not allowed."""
    done = subprocess.run(["mount", *arguments, str(place)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"mounting is not allowed here: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """One mebibyte."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    (tmp_path / "disk").mkdir()
    with mounted(tmp_path / "disk", "-t", "tmpfs", "-o", "size=1m", "none") as disk:
        yield disk


def fill(disk: Path) -> Path:
    """Leave no byte free; answers the file that takes it all."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        for size in (65536, 4096, 1):
            with suppress(OSError):
                while True:
                    file.write(b"x" * size)
    return filler


class TestFullDisk:
    async def test_playback_goes_on_from_memory_on_a_full_disk_and_is_saved_later(
        self, small_disk: Path, launch: Launch, token: Token
    ) -> None:
        state = small_disk / "state"
        server = await ready(launch, "--state", str(state))
        async with (
            rest_client(server, token()) as ada,
            connect(ada.session, f"{server.url}/ws", token()) as phone,
        ):
            await ada.post("pause/song", currentTime=1)
            await phone.receives("trackPaused")
            filler = fill(small_disk)
            for position in range(2, 52):
                status, _ = await ada.post("pause/song", currentTime=position)
                assert status == 200
                assert (await phone.receives("trackPaused"))["currentTime"] == position
                await asyncio.sleep(0.05)
            await ada.health_becomes("degraded")
            assert (await ada.state())["rev"] == 51
            warnings = [line for line in server.log if "playing goes on from memory" in line]
            assert len(warnings) == 1, warnings
            filler.unlink()
            await ada.health_becomes("ok")
        server.process.kill()
        server.process.wait()
        check_integrity(state)
        server = await ready(launch, "--state", str(state))
        async with rest_client(server, token()) as ada:
            after = await ada.state()
            assert (after["currentTime"], after["rev"]) == (51.0, 51)

    async def test_a_stop_or_a_kill_on_a_full_disk_leaves_the_file_intact(
        self, small_disk: Path, launch: Launch, token: Token
    ) -> None:
        state = small_disk / "state"
        for life, end in enumerate((signal.SIGKILL, signal.SIGTERM, signal.SIGKILL)):
            server = await ready(launch, "--state", str(state))
            async with rest_client(server, token()) as ada:
                await ada.post("pause/song", currentTime=10 + life)
                await asyncio.sleep(1.0)  # the second in which it is on disk
                filler = fill(small_disk)
                for position in range(30, 50):
                    assert (await ada.post("play/song", currentTime=position))[0] == 200
                await ada.health_becomes("degraded")
            server.process.send_signal(end)
            await asyncio.to_thread(server.process.wait, START_TIMEOUT)
            filler.unlink()
            check_integrity(state)
            server = await ready(launch, "--state", str(state))
            async with rest_client(server, token()) as ada:
                after = await ada.state()
                assert (after["trackId"], after["isPlaying"]) == ("song", False)
                assert after["currentTime"] >= 10 + life
            assert server.stop() == 0


@contextmanager
def read_only(place: Path) -> Iterator[None]:
    """Let nobody write to a file or folder; root needs a mount for that."""
    if os.geteuid() != 0:
        mode = place.stat().st_mode
        place.chmod(mode & ~0o222)
        try:
            yield
        finally:
            place.chmod(mode)
        return
    with mounted(place, "--bind", str(place)):
        subprocess.run(["mount", "-o", "remount,bind,ro", str(place)], check=True)
        yield


@on_linux
class TestReadOnlyStateFile:
    @pytest.fixture
    async def before(self, launch: Launch, state: Path, token: Token) -> bytes:
        """A state file in which somebody is at 30 s; its bytes."""
        server = await ready(launch, "--state", str(state))
        async with rest_client(server, token()) as ada:
            await ada.post("pause/song", currentTime=30)
        assert server.stop() == 0
        return bytes_of(state)

    async def test_playback_goes_on_from_memory_with_a_read_only_state_file(
        self, launch: Launch, token: Token, state: Path, before: bytes
    ) -> None:
        with read_only(state):
            server = await ready(launch, "--state", str(state))
            async with rest_client(server, token()) as ada:
                assert (await ada.state())["currentTime"] == 30.0
                assert (await ada.post("play/song", currentTime=40))[0] == 200
                await ada.health_becomes("degraded")
                assert (await ada.state())["isPlaying"]
            assert server.stop() == 0
            assert bytes_of(state) == before
        check_integrity(state)

    async def test_a_state_file_that_cannot_be_locked_refuses_the_start(
        self, media: Path, state: Path, before: bytes
    ) -> None:
        with read_only(state.parent):
            code, lines = await asyncio.to_thread(refused_start, media, state)
        assert (code, len(lines)) == (2, 1), lines
        assert "cannot be used" in lines[0]
        assert bytes_of(state) == before
        check_integrity(state)

"""One state file, one server: by whatever name the file is reached."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from audiostream.errors import StoreError
from audiostream.playback.model import State
from audiostream.storage.playback_store import PendingWrite, PlaybackStore
from audiostream.storage.revocations import revoke
from tests.support.server_process import Launch, refused_start

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="the lock on the inode is Linux's")
pytestmark = on_linux

PAUSED = State(track_id="song", duration=60.0, position=30.0, rev=5)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state" / "audiostream.sqlite3"


def link_to_file(state: Path) -> Path:
    link = state.parent.parent / "link.sqlite3"
    link.symlink_to(state)
    return link


def link_to_folder(state: Path) -> Path:
    link = state.parent.parent / "linked"
    link.symlink_to(state.parent)
    return link / state.name


def chain_of_links(state: Path) -> Path:
    first, second = state.parent / "first", state.parent.parent / "second"
    first.symlink_to(state.name)
    second.symlink_to(first)
    return second


def hard_link(state: Path) -> Path:
    link = state.parent.parent / "hard.sqlite3"
    link.hardlink_to(state)
    return link


def relative(state: Path) -> Path:
    return Path(os.path.relpath(state, state.parent.parent))


def roundabout(state: Path) -> Path:
    return state.parent / ".." / state.parent.name / "." / state.name


def removed_lock(state: Path) -> Path:
    for each in state.parent.glob("*.lock"):
        each.unlink()
    return state


def renamed_file(state: Path) -> Path:
    return state.rename(state.with_name("renamed.sqlite3"))


def renamed_folder(state: Path) -> Path:
    folder = state.parent.rename(state.parent.with_name("renamed"))
    return folder / state.name


NAMES = [
    link_to_file,
    link_to_folder,
    chain_of_links,
    hard_link,
    relative,
    roundabout,
    removed_lock,
    renamed_file,
    renamed_folder,
]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name.__name__)
def test_a_second_server_is_refused_by_another_name_of_the_file(
    launch: Launch, media: Path, tmp_path: Path, state: Path, name: Callable[[Path], Path]
) -> None:
    server = launch("--state", str(state))
    server.wait_for_log("the library has")
    code, lines = refused_start(media, name(state), cwd=tmp_path)
    assert (code, len(lines)) == (2, 1), lines
    assert "in use by another server" in lines[0]
    assert server.process.poll() is None


def test_a_second_server_is_refused_by_the_file_of_an_open_descriptor(
    launch: Launch, media: Path, tmp_path: Path, state: Path
) -> None:
    launch("--state", str(state)).wait_for_log("the library has")
    with state.open("rb") as file:
        name = Path(f"/proc/self/fd/{file.fileno()}")
        code, lines = refused_start(media, name, cwd=tmp_path, descriptors=[file.fileno()])
    assert code == 2, lines
    assert "in use by another server" in lines[-1]


@contextmanager
def bound(place: Path, to: Path) -> Iterator[Path]:
    """One more name for a file or folder, or a skipped test where that is not allowed."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount")
    done = subprocess.run(["mount", "--bind", str(to), str(place)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"mounting is not allowed here: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.mark.parametrize("of", ["file", "folder"])
def test_a_second_server_is_refused_through_a_bind_mount(
    launch: Launch, media: Path, tmp_path: Path, state: Path, of: str
) -> None:
    launch("--state", str(state)).wait_for_log("the library has")
    if of == "file":
        place, to = tmp_path / "bound", state
        place.touch()
    else:
        place, to = tmp_path / "elsewhere", state.parent
        place.mkdir()
    with bound(place, to):
        name = place if of == "file" else place / state.name
        code, lines = refused_start(media, name, cwd=tmp_path)
    assert code == 2, lines
    assert "in use by another server" in lines[-1]


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_state_file_is_unlocked_when_its_server_ends(
    launch: Launch, state: Path, end: str
) -> None:
    server = launch("--state", str(state))
    if end == "stop":
        assert server.stop() == 0
    else:
        server.process.kill()
        server.process.wait()
    launch("--state", str(link_to_file(state)))


def test_no_lock_file_is_left_beside_the_state_file(launch: Launch, state: Path) -> None:
    server = launch("--state", str(state))
    server.wait_for_log("the library has")
    assert server.stop() == 0
    assert [each.name for each in state.parent.iterdir()] == [state.name]


def test_a_second_store_of_one_process_is_refused_by_another_name(state: Path) -> None:
    with closing(PlaybackStore(state)) as store:
        store.save([PendingWrite(user_id="ada", state=PAUSED, now=0.0)])
        for name in (link_to_file(state), hard_link(state), state):
            with pytest.raises(StoreError, match="in use by another server"):
                PlaybackStore(name)
        store.save([PendingWrite(user_id="bob", state=PAUSED, now=0.0)])
    with closing(PlaybackStore(state)) as store:
        assert store.load("bob").state.rev == 5


SHARED_BY_SQLITE = 0x40000002, 510
"""Offset and length of what SQLite locks while it has a file open (https://sqlite.org/lockingv3.html)."""
PROBE = """
import fcntl, os, sys
file = os.open(sys.argv[1], os.O_RDWR)
try:
    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, int(sys.argv[3]), int(sys.argv[2]))
except OSError:
    print("locked")
else:
    print("free")
"""


def test_neither_a_refused_second_store_nor_a_revocation_drops_the_locks_of_sqlite(
    state: Path,
) -> None:
    def look() -> str:
        offset, length = SHARED_BY_SQLITE
        command = [sys.executable, "-c", PROBE, str(state), str(offset), str(length)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    with closing(PlaybackStore(state)) as store:
        store.save([PendingWrite(user_id="ada", state=PAUSED, now=0.0)])
        assert look() == "locked"
        with pytest.raises(StoreError):
            PlaybackStore(state)
        revoke(state, "bob", 5.0)
        assert look() == "locked"
    assert look() == "free"


class TestRevokingByAnotherName:
    """SQLite keeps the newest changes in files that are named after the database."""

    @pytest.mark.parametrize("name", [link_to_file, link_to_folder, chain_of_links, roundabout])
    def test_revoking_through_a_link_to_the_folder_reaches_the_server(
        self, state: Path, name: Callable[[Path], Path]
    ) -> None:
        with closing(PlaybackStore(state)) as store:
            store.revocations.changed()
            revoke(name(state), "ada", 5.0)
            assert store.revocations.changed() == {"ada": 5.0}

    def test_revoking_through_a_hard_link_is_refused_while_a_server_runs(
        self, launch: Launch, state: Path
    ) -> None:
        server = launch("--state", str(state))
        link = hard_link(state)
        with pytest.raises(StoreError, match="by another name"):
            revoke(link, "ada", 5.0)
        assert [each.name for each in link.parent.glob("hard*")] == ["hard.sqlite3"]
        revoke(state, "ada", 5.0)
        assert server.stop() == 0
        revoke(link, "bob", 6.0)
        with closing(PlaybackStore(state)) as store:
            assert store.revocations.changed() == {"ada": 5.0, "bob": 6.0}

    def test_revoking_through_a_hard_link_is_refused_within_one_process(self, state: Path) -> None:
        with closing(PlaybackStore(state)), pytest.raises(StoreError, match="by another name"):
            revoke(hard_link(state), "ada", 5.0)


def test_a_server_that_may_only_read_the_file_keeps_out_one_that_may_write(
    launch: Launch, media: Path, tmp_path: Path, state: Path
) -> None:
    PlaybackStore(state).close()
    place = tmp_path / "read-only"
    place.touch()
    with bound(place, state):
        subprocess.run(["mount", "-o", "remount,bind,ro", str(place)], check=True)
        server = launch("--state", str(place))
        server.wait_for_log("the library has")
        code, lines = refused_start(media, state, cwd=tmp_path)
        assert (code, "in use by another server" in lines[-1]) == (2, True), lines
        assert server.stop() == 0
    launch("--state", str(state))

"""Opening a track's file: what is refused, and a file that is replaced at that moment."""

from __future__ import annotations

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from audiostream.library import safe_open
from audiostream.library.safe_open import close_in_executor, open_regular_file


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path.resolve() / "song.mp3"
    path.write_bytes(b"first")
    return path


def replace(path: Path, content: bytes) -> None:
    new = path.with_name("new")
    new.write_bytes(content)
    new.replace(path)


def test_a_regular_file_is_opened_and_described(path: Path) -> None:
    file, status = open_regular_file(str(path))
    with file:
        assert (file.read(), status.st_size) == (b"first", 5)
        assert os.path.samestat(status, path.stat())


def test_a_link_to_a_file_and_a_file_below_a_link_are_refused_with_eloop(path: Path) -> None:
    link, folder = path.with_name("link.mp3"), path.parent / "linked"
    link.symlink_to(path)
    folder.symlink_to(path.parent)
    for refused in (link, folder / path.name):
        with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
            open_regular_file(str(refused))


def test_a_fifo_and_a_folder_are_refused_without_waiting(path: Path) -> None:
    fifo = path.with_name("fifo.mp3")
    os.mkfifo(fifo)
    with pytest.raises(OSError, match=os.strerror(errno.ENXIO)):
        open_regular_file(str(fifo))
    with pytest.raises(OSError, match=os.strerror(errno.EISDIR)):
        open_regular_file(str(path.parent))


@pytest.mark.parametrize("times", [1, 2])
def test_a_file_replaced_while_it_is_opened_is_opened_again(
    path: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    contents, open_once = [b"second", b"third"][:times], safe_open._open_once

    def open_and_replace(name: str) -> object:
        opened = open_once(name)
        if contents:
            replace(path, contents.pop(0))
        return opened

    monkeypatch.setattr(safe_open, "_open_once", open_and_replace)
    file, status = open_regular_file(str(path))
    with file:
        assert os.path.samestat(status, path.stat())
        assert file.read() == [b"second", b"third"][times - 1]


def test_a_file_replaced_every_time_it_is_opened_is_refused_with_eagain(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_once = safe_open._open_once

    def open_and_replace(name: str) -> object:
        opened = open_once(name)
        replace(path, b"another")
        return opened

    monkeypatch.setattr(safe_open, "_open_once", open_and_replace)
    with pytest.raises(OSError, match=os.strerror(errno.EAGAIN)):
        open_regular_file(str(path))


@pytest.mark.parametrize("is_shut_down", [False, True])
def test_a_file_is_closed_even_if_the_executor_has_been_shut_down(
    path: Path, is_shut_down: bool
) -> None:
    file, _ = open_regular_file(str(path))
    with ThreadPoolExecutor(1) as executor:
        if is_shut_down:
            executor.shutdown()
        close_in_executor(executor, file)
    assert file.closed

"""What a scan publishes while it runs, what it reads, and how it stops."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from audiostream.library import scanner
from audiostream.library.library import Library
from audiostream.library.scanner import ScanProgress
from audiostream.library.tags.fields import Tags
from tests.conftest import write_wav
from tests.support.audio_files import tagged
from tests.support.media_folder import (
    InProcessTagReader,
    put,
    record_reads,
    scanned,
    titles,
    write_manifest,
)


def test_a_first_scan_publishes_the_tracks_that_it_has_found_so_far(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanner, "PUBLISH_INTERVAL", 0.0)
    put(folder, "a.wav", "b.wav", "c.wav")
    library, seen = Library(folder), []

    def look(progress: ScanProgress) -> None:
        seen.append((progress.found, len(titles(library)), library.ready))

    library.scan(look)
    assert seen == [(1, 0, False), (2, 1, False), (3, 2, False)]
    assert library.ready


def test_a_first_scan_publishes_all_files_by_name_before_it_reads_tags(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanner, "PUBLISH_INTERVAL", 60.0)
    tagged(folder / "a.mp3", TIT2="Tagged")
    put(folder, "b.wav")
    library, seen = Library(folder), []
    original = InProcessTagReader.read

    def read(
        reader: InProcessTagReader, paths: Sequence[Path]
    ) -> Iterator[tuple[Path, Tags | None]]:
        seen.append(titles(library))
        return original(reader, paths)

    monkeypatch.setattr(InProcessTagReader, "read", read)
    library.scan()
    assert seen == [["a", "b"]]
    assert titles(library) == ["b", "Tagged"]


def test_a_changed_file_keeps_its_title_until_its_new_tags_are_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanner, "PUBLISH_INTERVAL", 0.0)
    tagged(folder / "a.mp3", TIT2="Old")
    put(folder, *(f"{number}.wav" for number in range(9)))
    library = scanned(folder)
    tagged(folder / "a.mp3", TIT2="New")
    put(folder, "z.wav")
    seen = set()
    original = InProcessTagReader.read

    def read(
        reader: InProcessTagReader, paths: Sequence[Path]
    ) -> Iterator[tuple[Path, Tags | None]]:
        for path, tags in original(reader, paths):
            seen.update(titles(library))
            yield path, tags

    monkeypatch.setattr(InProcessTagReader, "read", read)
    library.scan()
    assert "a" not in seen
    assert "New" in titles(library)


def test_a_rescan_publishes_nothing_before_all_files_are_found(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanner, "PUBLISH_INTERVAL", 0.0)
    put(folder, "a.wav")
    library = scanned(folder)
    put(folder, "b.wav", "c.wav")
    seen = []
    library.scan(lambda progress: seen.append(len(titles(library))))
    assert seen == [1, 1, 1]
    assert len(titles(library)) == 3


def test_partial_catalogues_are_published_less_often_where_making_one_takes_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, published = [0.0], list[float]()
    monkeypatch.setattr("audiostream.library.scanner.time.monotonic", lambda: now[0])

    def publish(tracks: object) -> None:
        published.append(now[0])
        now[0] += 0.5

    throttle = scanner.PublishThrottle(publish)
    for _ in range(200):
        throttle.publish_if_due({})
        now[0] += 0.1
    assert len(published) == 4
    assert all(later - sooner > 5.4 for sooner, later in pairwise(published))


def test_a_rescan_reads_the_tags_of_changed_files_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(folder, "a.wav", "b.wav")
    library = scanned(folder)
    read = record_reads(monkeypatch)
    write_wav(folder / "b.wav", 2.0)
    library.scan()
    assert read == ["b.wav"]
    assert library.tracks_for(None)[1].duration == 2.0


def test_a_stopped_scan_leaves_the_published_tracks_as_they_were(folder: Path) -> None:
    put(folder, "a.wav")
    library = scanned(folder)
    put(folder, "b.wav")
    stop = threading.Event()
    stop.set()
    assert library.scan(stop=stop).tracks == 1
    assert titles(library) == ["a"]


def test_a_first_scan_that_was_stopped_can_be_started_again(folder: Path) -> None:
    put(folder, "a.wav", "b.wav", "c/c.wav")
    library, stop = Library(folder), threading.Event()
    library.scan(lambda progress: stop.set(), stop)
    assert not library.ready
    assert library.scan().tracks == 3
    assert library.ready


def test_a_file_that_vanishes_after_its_folder_was_listed_is_no_track_and_no_error(
    folder: Path,
) -> None:
    put(folder, "a.wav", "b.wav")
    library = Library(folder)
    report = library.scan(lambda progress: (folder / "b.wav").unlink())
    assert (titles(library), report.left_out) == (["a"], ())


def test_an_entry_whose_file_vanishes_during_the_scan_is_no_track_and_no_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(folder, "a.wav", "b.wav")
    write_manifest(folder, {"id": "a", "audioUrl": "a.wav"}, {"id": "b", "audioUrl": "b.wav"})
    library = Library(folder)
    report = library.scan(lambda progress: (folder / "b.wav").unlink(missing_ok=True))
    assert (titles(library), report.left_out) == (["a"], ())


def test_a_file_that_vanishes_before_its_tags_are_read_is_gone_after_the_next_scan(
    folder: Path,
) -> None:
    put(folder, "a.wav", "b.wav")
    library = Library(folder)
    library.scan(lambda progress: (folder / "a.wav").unlink(missing_ok=True))
    library.scan()
    assert titles(library) == ["b"]


def test_a_scan_logs_a_bounded_number_of_the_files_that_it_left_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    monkeypatch.setattr(scanner, "MAX_LOGGED", 2)
    put(folder, *(f"users/{number}.wav" for number in range(5)))
    assert len(Library(folder).scan().left_out) == 5
    assert caplog.text.count("left out users/") == 2
    assert "and 3 more left out" in caplog.text

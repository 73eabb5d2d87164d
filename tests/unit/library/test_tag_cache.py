"""The rows in which a scan's tags are stored, and the fingerprints of files."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from audiostream.library.tag_cache import (
    STALE,
    CachedTags,
    change_time_of,
    fingerprint_of,
    from_rows,
    to_rows,
)
from audiostream.library.tags.fields import Tags, clean_duration, clean_number, clean_text

ROOT = Path("/media")
NAMES = st.text(st.characters(codec="utf-8", categories=["L", "N", "Zs"]), min_size=1)
TAGS = st.builds(
    Tags,
    title=st.text().map(clean_text),
    duration=st.floats().map(clean_duration),
    track_number=st.integers().map(clean_number),
)


@given(st.dictionaries(NAMES, st.builds(CachedTags, st.text(), TAGS)))
def test_a_cache_is_restored_from_its_rows(entries: dict[str, CachedTags]) -> None:
    cache = {ROOT / "folder" / name: cached for name, cached in entries.items()}
    assert from_rows(ROOT, to_rows(ROOT, cache)) == cache


def test_a_file_whose_name_is_not_text_has_no_row() -> None:
    cache = {ROOT / os.fsdecode(b"a\xff.mp3"): CachedTags("1", Tags())}
    assert to_rows(ROOT, cache) == []


def test_a_fingerprint_changes_with_the_content_also_where_the_mtime_is_restored(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.mp3"
    path.write_bytes(b"one")
    before = path.stat()
    path.with_name("b.mp3").write_bytes(b"two")
    path.with_name("b.mp3").rename(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert fingerprint_of(path.stat()) != fingerprint_of(before)


def test_a_fingerprint_has_the_time_at_which_the_file_changed(tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    path.write_bytes(b"one")
    os.utime(path, (1, 1))  # as a copy that keeps the times of its original
    status = path.stat()
    assert change_time_of(fingerprint_of(status)) == status.st_ctime_ns // 1_000_000
    assert [change_time_of(text) for text in (STALE, "1", "1.x.2.3")] == [None] * 3

"""What the last scan of a media folder found, so that lists are complete right after a start."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from ..errors import StoreError
from ..library.tag_cache import ScanRow
from .database import SCAN_TABLE, check, connect, unusable


class ScanCache:
    """The table ``scanned`` of the state file; nothing where ``path`` is None.

    A scan makes the same rows again, so a damaged cache is dropped and written anew.
    """

    def __init__(self, path: Path | None, folder: Path) -> None:
        self._path = None if path is None else path.resolve()
        self._folder = str(folder)
        self._saved: set[ScanRow] | None = None

    def create(self) -> None:
        """Create the state file, where no server of this process opens it: playback is elsewhere.

        Raises ``StoreError`` where it cannot be used; then nothing is kept.
        """
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            check(self._path)
            connect(self._path).close()
        except (OSError, sqlite3.Error) as error:
            self._path = None
            raise unusable(error) from None
        except StoreError:
            self._path = None
            raise

    def load(self) -> list[ScanRow]:
        """Return all rows, unchecked; none where they cannot be read."""
        if self._path is None:
            return []
        try:
            with closing(connect(self._path)) as db:
                rows = db.execute(
                    "SELECT path, identity, title, artist, album, duration,"
                    " album_artist, disc, track_number FROM scanned WHERE folder = ? ORDER BY path",
                    (self._folder,),
                ).fetchall()
        except (OSError, sqlite3.Error):
            return []
        self._saved = set(rows)
        return rows

    def invalidate(self) -> None:
        """Have the next ``save`` write all rows."""
        self._saved = None

    def save(self, rows: Iterable[ScanRow]) -> None:
        """Keep these rows and no others; write what differs. Raises ``StoreError``.

        A state file that was renamed meanwhile is not created again.
        """
        if self._path is None or not self._path.exists():
            return
        now = set(rows)
        if now == self._saved:
            return
        try:
            self._write(self._path, now, self._saved)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"cannot keep what the scan found ({error})") from None
        self._saved = now

    def _write(self, path: Path, now: set[ScanRow], before: set[ScanRow] | None) -> None:
        removed = {row[0] for row in before or ()} - {row[0] for row in now}
        with closing(connect(path)) as db, db:
            if before is None:
                db.execute("DROP TABLE IF EXISTS scanned")
                db.execute(SCAN_TABLE)
            db.execute("DELETE FROM scanned WHERE folder != ?", (self._folder,))
            db.executemany(
                "DELETE FROM scanned WHERE folder = ? AND path = ?",
                ((self._folder, file) for file in removed),
            )
            db.executemany(
                "INSERT OR REPLACE INTO scanned VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                ((self._folder, *row) for row in now - (before or set())),
            )

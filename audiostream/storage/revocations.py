"""Revoked users: since when their tokens, tickets and cookies are void."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from .database import check, connect, unusable
from .file_lock import check_name


class Revocations:
    """Reads what ``revoke`` writes, also from another process."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._data_version = -1

    def changed(self) -> dict[str, float] | None:
        """Return when each user was last revoked, in epoch seconds; None where nothing changed.

        Raises ``sqlite3.Error``.
        """
        (version,) = self._db.execute("PRAGMA data_version").fetchone()
        if version == self._data_version:
            return None
        self._data_version = version
        return dict(self._db.execute("SELECT user_id, at FROM revoked").fetchall())


def revoke(path: Path, user_id: str, at: float) -> None:
    """End a user's credentials issued before ``at`` (epoch seconds), server running or not.

    Where the clock was set back since the last revocation, the new one counts from just after it:
    no credential that was void becomes good again. Raises ``StoreError``.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        check_name(path)
        check(path)
        with closing(connect(path)) as db, db:
            db.execute(
                "INSERT INTO revoked VALUES (?, ?) ON CONFLICT DO UPDATE"
                " SET at = max(excluded.at, at + 0.001)",
                (user_id, at),
            )
    except (OSError, sqlite3.Error) as error:
        raise unusable(error) from None

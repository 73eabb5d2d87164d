"""Revoking a user in the state file."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from audiostream.errors import StoreError
from audiostream.storage.playback_store import PlaybackStore
from audiostream.storage.revocations import revoke


class TestRevocations:
    def test_revocations_are_returned_once_and_again_when_they_change(
        self, store: PlaybackStore, path: Path
    ) -> None:
        assert store.revocations.changed() == {}
        assert store.revocations.changed() is None
        revoke(path, "ada", 5.0)
        assert store.revocations.changed() == {"ada": 5.0}
        assert store.revocations.changed() is None
        revoke(path, "ada", 6.0)
        revoke(path, "bob", 7.0)
        assert store.revocations.changed() == {"ada": 6.0, "bob": 7.0}

    def test_a_revocation_without_a_server_is_read_at_the_next_start(self, path: Path) -> None:
        revoke(path, "ada", 5.0)
        with closing(PlaybackStore(path)) as store:
            assert store.revocations.changed() == {"ada": 5.0}

    def test_revoking_in_a_damaged_file_is_refused(self, path: Path) -> None:
        path.parent.mkdir()
        path.write_bytes(b"x" * 5000)
        with pytest.raises(StoreError):
            revoke(path, "ada", 5.0)
        with pytest.raises(StoreError, match="cannot be used"):
            revoke(path / "below", "ada", 5.0)

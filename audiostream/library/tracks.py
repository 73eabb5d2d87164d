"""``Track``: one piece of audio that can be listed and played."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from .tags.fields import Tags, clean_text


@dataclass(frozen=True, slots=True)
class Track:
    """One piece of audio.

    ``path`` is absolute, without symbolic links, and was a regular file when it was scanned.
    ``duration`` is in float seconds, None where unknown. ``owner_id`` is the only user who may
    play the track, None for a shared one. ``title`` is empty until ``with_tags``. ``added_at`` is
    in epoch milliseconds, None where unknown; a track that differs in it alone is the same.
    """

    id: str
    path: Path
    title: str
    artist: str | None = None
    album: str | None = None
    duration: float | None = None
    owner_id: str | None = None
    album_artist: str | None = None
    disc: int | None = None
    track_number: int | None = None
    added_at: int | None = field(default=None, compare=False)

    def playable_by(self, user_id: str | None) -> bool:
        """Return whether a user may play it; None is a listener without a user id."""
        return self.owner_id is None or self.owner_id == user_id

    def with_tags(self, tags: Tags, added_at: int | None = None) -> Track:
        """Return the track with the file's tags, or its name, in the fields that are empty."""
        return Track(
            id=self.id,
            path=self.path,
            title=self.title or tags.title or _title_from_name(self.path),
            artist=self.artist or tags.artist,
            album=self.album or tags.album,
            duration=self.duration or tags.duration,
            owner_id=self.owner_id,
            album_artist=self.album_artist or tags.album_artist,
            disc=self.disc or tags.disc,
            track_number=self.track_number or tags.track_number,
            added_at=added_at,
        )


def _title_from_name(path: Path) -> str:
    return clean_text(path.stem.replace("_", " ")) or ascii(path.name)

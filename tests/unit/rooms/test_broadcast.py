"""The frames that carry a state and its track."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.support.fakes import FakeLibrary
from tests.support.scenario import Scene


def test_the_state_of_a_track_that_left_the_library_is_sent_without_its_description() -> None:
    scene = Scene()
    scene.connect("phone")
    scene.play("phone")
    del scene.shelf.durations["song"]
    scene.clear()
    scene.ask("phone")
    [(_, state, _)] = scene.frames("phone")
    assert state["trackId"] == "song"
    assert "track" not in state


def test_the_description_of_a_track_is_sent_until_the_library_has_another() -> None:
    @dataclass
    class CachingLibrary(FakeLibrary):
        kept: dict[str, Any] = field(default_factory=lambda: {"id": "song", "title": "Song"})

        def describe(self, user_id: str, track_id: str) -> Mapping[str, Any]:
            return self.kept

    library = CachingLibrary()
    scene = Scene(shelf=library)
    scene.connect("phone")
    for title in ("Song", "Song", "Hymn", "Song"):
        if title != library.kept["title"]:
            library.kept = {"id": "song", "title": title}
        scene.play("phone")
        [(_, state, _)] = scene.frames("phone")
        assert state["track"] == {"id": "song", "title": title}

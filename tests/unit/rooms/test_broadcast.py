"""The frames that carry a state and its track."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.support.fakes import FakeLibrary
from tests.support.scenario import Scenario


def test_the_state_of_a_track_that_left_the_library_is_sent_without_its_description() -> None:
    scenario = Scenario()
    scenario.connect("phone")
    scenario.play("phone")
    del scenario.library.durations["song"]
    scenario.clear()
    scenario.get_state("phone")
    [(_, state, _)] = scenario.received_frames("phone")
    assert state["trackId"] == "song"
    assert "track" not in state


def test_the_description_of_a_track_is_sent_until_the_library_has_another() -> None:
    @dataclass
    class CachingLibrary(FakeLibrary):
        kept: dict[str, Any] = field(default_factory=lambda: {"id": "song", "title": "Song"})

        def describe(self, user_id: str, track_id: str) -> Mapping[str, Any]:
            return self.kept

    library = CachingLibrary()
    scenario = Scenario(library=library)
    scenario.connect("phone")
    for title in ("Song", "Song", "Hymn", "Song"):
        if title != library.kept["title"]:
            library.kept = {"id": "song", "title": title}
        scenario.play("phone")
        [(_, state, _)] = scenario.received_frames("phone")
        assert state["track"] == {"id": "song", "title": title}

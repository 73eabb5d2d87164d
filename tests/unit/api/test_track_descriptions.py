"""Descriptions of tracks are cached until the track or its ticket changes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from audiostream import Settings, create_app
from audiostream.auth.tickets import TICKET_LIFETIME
from audiostream.errors import TrackNotFound
from audiostream.services import SERVICES, Services
from tests.support.fakes import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(1_700_000_100.0)  # some minutes after the full hour


@pytest.fixture
def services(settings: Settings, clock: FakeClock) -> Services:
    services = create_app(settings, wall_clock=clock)[SERVICES]
    services.library.scan()
    return services


def test_the_description_of_a_track_is_cached_for_an_hour(
    services: Services, clock: FakeClock
) -> None:
    first = services.descriptions.describe("ada", "song")
    clock.advance(60.0)
    assert services.descriptions.describe("ada", "song") is first


def test_the_description_of_a_track_has_a_new_ticket_in_the_next_hour(
    services: Services, clock: FakeClock
) -> None:
    first = services.descriptions.describe("ada", "song")
    clock.advance(3600.0)
    second = services.descriptions.describe("ada", "song")
    assert second["streamUrl"] != first["streamUrl"]
    services.tokens.verify_ticket(ticket_of(second), "song", clock.now + TICKET_LIFETIME)


def test_the_description_of_a_track_has_a_valid_ticket_after_a_revocation(
    services: Services, clock: FakeClock
) -> None:
    before = {user: services.descriptions.describe(user, "song") for user in ("ada", "bob")}
    services.tokens.revoked = {"ada": clock.now}
    renewed = services.descriptions.describe("ada", "song")
    assert renewed["streamUrl"] != before["ada"]["streamUrl"]
    assert services.tokens.verify_ticket(ticket_of(renewed), "song", clock.now).user_id == "ada"
    assert services.descriptions.describe("bob", "song") is before["bob"]


def test_the_description_of_a_track_changes_with_a_rescan(services: Services, media: Path) -> None:
    assert services.descriptions.describe("ada", "song")["title"] == "Song"
    manifest = media / "tracks.json"
    manifest.write_text(manifest.read_text().replace('"Song"', '"Hymn"'))
    services.library.scan()
    assert services.descriptions.describe("ada", "song")["title"] == "Hymn"


def test_a_removed_track_has_no_description(services: Services, media: Path) -> None:
    services.descriptions.describe("ada", "song")
    (media / "tracks.json").write_text("[]")
    services.library.scan()
    with pytest.raises(TrackNotFound):
        services.descriptions.describe("ada", "song")


def test_the_descriptions_of_a_track_have_each_user_s_ticket(
    services: Services, clock: FakeClock
) -> None:
    services.descriptions.describe("ada", "hers")
    with pytest.raises(TrackNotFound):
        services.descriptions.describe("bob", "hers")
    for user in ("ada", "bob"):
        ticket = ticket_of(services.descriptions.describe(user, "song"))
        assert services.tokens.verify_ticket(ticket, "song", clock.now).user_id == user


def ticket_of(track: Mapping[str, Any]) -> str:
    ticket: str = track["streamUrl"].partition("?ticket=")[2]
    return ticket

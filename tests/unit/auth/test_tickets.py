"""Tickets and session values are accepted as signed, until they expire or are revoked."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiostream.auth.tickets import CACHE_SIZE, Identity, TicketSigner
from audiostream.errors import Unauthorized

SECRET = "a secret of more than thirty-two bytes"
NOW = 1_700_000_000.0


@pytest.fixture
def tickets() -> TicketSigner:
    return TicketSigner(SECRET)


class TestTickets:
    def test_a_ticket_is_valid_for_one_user_and_track_and_six_hours_beyond_its_duration(
        self, tickets: TicketSigner
    ) -> None:
        ticket = tickets.ticket("Ада", "song", 3600.0, NOW)
        identity = tickets.verify_ticket(ticket, "song", NOW + 3600 + 6 * 3600)
        assert identity.user_id == "Ада"
        assert 7 * 3600 <= (identity.expires_at or 0) - NOW <= 8 * 3600
        with pytest.raises(Unauthorized):
            tickets.verify_ticket(ticket, "song", NOW + 8 * 3600)
        with pytest.raises(Unauthorized):
            tickets.verify_ticket(ticket, "other", NOW)

    def test_a_ticket_outlives_a_restart_but_not_another_secret(
        self, tickets: TicketSigner
    ) -> None:
        ticket = tickets.ticket("ada", "song", None, NOW)
        assert TicketSigner(SECRET).verify_ticket(ticket, "song", NOW).user_id == "ada"
        other = TicketSigner(SECRET + "!")
        with pytest.raises(Unauthorized):
            other.verify_ticket(ticket, "song", NOW)

    def test_tickets_of_one_hour_are_equal(self, tickets: TicketSigner) -> None:
        hour = NOW - NOW % 3600
        equal = {tickets.ticket("ada", "song", 0.0, hour + after) for after in (1, 60, 3600)}
        assert len(equal) == 1

    def test_a_ticket_with_another_expiry_or_user_is_refused(self, tickets: TicketSigner) -> None:
        expiry, user, mac = tickets.ticket("ada", "song", None, NOW).split(".")
        eve = base64.urlsafe_b64encode(b"eve").rstrip(b"=").decode()
        for forged in (f"{int(expiry) + 1}.{user}.{mac}", f"{expiry}.{eve}.{mac}"):
            with pytest.raises(Unauthorized):
                tickets.verify_ticket(forged, "song", NOW)

    @pytest.mark.parametrize("ticket", ["", "..", "a.b.c", "1.!.c", "-1.YQ.c", "é", "²⁵.YQ.c"])
    def test_a_malformed_ticket_is_refused(self, tickets: TicketSigner, ticket: str) -> None:
        with pytest.raises(Unauthorized):
            tickets.verify_ticket(ticket, "song", NOW)

    @given(st.text(), st.text())
    def test_any_text_is_refused_as_a_ticket(self, text: str, track_id: str) -> None:
        with pytest.raises(Unauthorized):
            TicketSigner(SECRET).verify_ticket(text, track_id, NOW)


class TestSessions:
    def test_a_session_expires_with_its_access_token(self, tickets: TicketSigner) -> None:
        value, life = tickets.session(Identity("ada", NOW + 100), NOW)
        assert life == 100
        assert tickets.verify_session(value, NOW + 99).user_id == "ada"
        with pytest.raises(Unauthorized):
            tickets.verify_session(value, NOW + 100)

    def test_a_session_of_a_token_without_expiry_is_valid_for_thirty_days(
        self, tickets: TicketSigner
    ) -> None:
        assert tickets.session(Identity("ada", None), NOW)[1] == 30 * 24 * 3600


class TestCachedTickets:
    def test_a_cached_ticket_expires(self, tickets: TicketSigner) -> None:
        ticket = tickets.ticket("ada", "song", 60.0, NOW)
        end = tickets.verify_ticket(ticket, "song", NOW).expires_at or 0.0
        assert tickets.verify_ticket(ticket, "song", end - 1).user_id == "ada"
        with pytest.raises(Unauthorized):
            tickets.verify_ticket(ticket, "song", end)

    def test_a_cached_ticket_is_refused_for_another_track_and_as_a_session(
        self, tickets: TicketSigner
    ) -> None:
        ticket = tickets.ticket("ada", "song", 60.0, NOW)
        tickets.verify_ticket(ticket, "song", NOW)
        with pytest.raises(Unauthorized):
            tickets.verify_ticket(ticket, "other", NOW)
        with pytest.raises(Unauthorized):
            tickets.verify_session(ticket, NOW)

    def test_a_cached_ticket_is_refused_after_a_revocation(self, tickets: TicketSigner) -> None:
        ticket = tickets.ticket("ada", "song", 60.0, NOW)
        tickets.verify_ticket(ticket, "song", NOW)
        tickets.revoked = {"ada": NOW + 1}
        with pytest.raises(Unauthorized):
            tickets.verify_ticket(ticket, "song", NOW + 2)

    def test_the_cache_of_tickets_is_bounded(self, tickets: TicketSigner) -> None:
        for user in range(2000):
            ticket = tickets.ticket(f"user{user}", "song", 60.0, NOW)
            assert tickets.verify_ticket(ticket, "song", NOW).user_id == f"user{user}"
        assert len(tickets._identities) == CACHE_SIZE

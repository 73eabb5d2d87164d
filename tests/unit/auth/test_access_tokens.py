"""Proofs: what is accepted, what is refused, and that one kind is never taken for another."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiostream.auth.access_tokens import LEEWAY, Identity, Tokens, bearer_token
from audiostream.errors import Unauthorized

SECRET = "a secret of more than thirty-two bytes"
NOW = 1_700_000_000.0


@pytest.fixture
def tokens() -> Tokens:
    return Tokens(SECRET)


def signed(claims: dict[str, Any], secret: str = SECRET, algorithm: str = "HS256") -> str:
    return jwt.encode(claims, secret, algorithm=algorithm)


def raw(header: dict[str, Any], payload: str) -> str:
    """A rightly signed token of any content, also such as no library would write."""
    import hashlib
    import hmac

    def part(content: bytes) -> str:
        return base64.urlsafe_b64encode(content).rstrip(b"=").decode()

    body = f"{part(json.dumps(header).encode())}.{part(payload.encode())}"
    mac = hmac.new(SECRET.encode(), body.encode(), hashlib.sha256).digest()
    return f"{body}.{part(mac)}"


class TestAccessTokens:
    def test_a_good_token(self, tokens: Tokens) -> None:
        token = signed({"sub": "ada", "exp": NOW + 60})
        assert tokens.verify(token, NOW) == Identity("ada", NOW + 60)

    def test_without_an_end(self, tokens: Tokens) -> None:
        assert tokens.verify(signed({"sub": "ada"}), NOW) == Identity("ada", None)

    @pytest.mark.parametrize(("sub", "user_id"), [(7, "7"), ("Ада", "Ада"), ("x" * 128, "x" * 128)])
    def test_user_ids(self, tokens: Tokens, sub: object, user_id: str) -> None:
        assert tokens.verify(signed({"sub": sub}), NOW).user_id == user_id

    @pytest.mark.parametrize("sub", ["", "x" * 129, "a\nb", "\x7f", "\u0085", None, True, 1.5, []])
    def test_impossible_user_ids(self, tokens: Tokens, sub: object) -> None:
        with pytest.raises(Unauthorized):
            tokens.verify(raw({"alg": "HS256"}, json.dumps({"sub": sub})), NOW)

    def test_a_lone_surrogate_is_no_user_id(self, tokens: Tokens) -> None:
        with pytest.raises(Unauthorized):
            tokens.verify(raw({"alg": "HS256"}, '{"sub": "\\ud800"}'), NOW)

    def test_another_claim_may_hold_the_user(self) -> None:
        tokens = Tokens(SECRET, user_claim="uid")
        assert tokens.verify(signed({"uid": 42}), NOW).user_id == "42"
        with pytest.raises(Unauthorized, match='"uid"'):
            tokens.verify(signed({"sub": "ada"}), NOW)

    def test_an_end_is_enforced_with_leeway(self, tokens: Tokens) -> None:
        token = signed({"sub": "ada", "exp": NOW})
        assert tokens.verify(token, NOW + LEEWAY - 1).user_id == "ada"
        with pytest.raises(Unauthorized, match="expired"):
            tokens.verify(token, NOW + LEEWAY)

    @pytest.mark.parametrize("claim", ["nbf", "iat"])
    def test_a_beginning_too(self, tokens: Tokens, claim: str) -> None:
        token = signed({"sub": "ada", claim: int(NOW + LEEWAY)})
        assert tokens.verify(token, NOW).user_id == "ada"
        with pytest.raises(Unauthorized, match="not valid yet"):
            tokens.verify(token, NOW - 1)

    @pytest.mark.parametrize(
        "exp", ['"soon"', '"1700000060"', "1e300", "1e400", "9" * 400, "NaN", "-5", "true", "[]"]
    )
    def test_an_end_that_is_no_date(self, tokens: Tokens, exp: str) -> None:
        with pytest.raises(Unauthorized):
            tokens.verify(raw({"alg": "HS256"}, f'{{"sub": "ada", "exp": {exp}}}'), NOW)

    def test_a_number_of_5000_digits(self, tokens: Tokens) -> None:
        for payload in (f'{{"sub": {"9" * 5000}}}', f'{{"sub": "a", "exp": {"9" * 5000}}}'):
            with pytest.raises(Unauthorized):
                tokens.verify(raw({"alg": "HS256"}, payload), NOW)

    def test_an_end_may_be_required(self) -> None:
        tokens = Tokens(SECRET, require_exp=True)
        with pytest.raises(Unauthorized, match='"exp"'):
            tokens.verify(signed({"sub": "ada"}), NOW)

    def test_audience_and_issuer_are_checked_where_set(self) -> None:
        tokens = Tokens(SECRET, audience="music", issuer="home")
        good = {"sub": "ada", "aud": "music", "iss": "home"}
        assert tokens.verify(signed(good), NOW).user_id == "ada"
        for wrong in ({"aud": "mail"}, {"iss": "away"}):
            with pytest.raises(Unauthorized):
                tokens.verify(signed(good | wrong), NOW)
        with pytest.raises(Unauthorized):
            tokens.verify(signed({"sub": "ada"}), NOW)

    def test_an_audience_nobody_asked_for_does_no_harm(self, tokens: Tokens) -> None:
        assert tokens.verify(signed({"sub": "ada", "aud": "mail"}), NOW).user_id == "ada"

    @pytest.mark.parametrize(
        "token",
        [
            "",
            "nonsense",
            "a.b.c",
            "é.é.é",
            "x" * 10_000,
            signed({"sub": "ada"}, secret="another secret of thirty-two bytes or more"),
            signed({"sub": "ada"}, algorithm="HS512", secret=SECRET * 2),
            jwt.encode({"sub": "ada"}, None, algorithm="none"),
            signed({"sub": "ada"})[:-4] + "AAAA",
            raw({"alg": "HS256", "crit": ["x"]}, '{"sub": "ada"}'),
            raw({"alg": "HS256"}, "[]"),
            raw({"alg": "HS256"}, '{"sub": "ada"'),
            raw({"alg": "HS256"}, "[" * 5000),
            raw({}, '{"sub": "ada"}'),
        ],
    )
    def test_forged_and_broken_tokens(self, tokens: Tokens, token: str) -> None:
        with pytest.raises(Unauthorized):
            tokens.verify(token, NOW)

    @given(st.text())
    def test_no_text_breaks_the_verifier(self, text: str) -> None:
        with pytest.raises(Unauthorized):
            Tokens(SECRET).verify(text, NOW)

    def test_a_refusal_never_repeats_the_token(self, tokens: Tokens) -> None:
        token = signed({"sub": "ada", "exp": 1})
        with pytest.raises(Unauthorized) as refused:
            tokens.verify(token, NOW)
        assert token.split(".")[1] not in str(refused.value)


class TestMint:
    def test_what_it_mints_it_accepts(self) -> None:
        tokens = Tokens(SECRET, audience="music", issuer="home", user_claim="uid")
        assert tokens.verify(tokens.mint("ada", NOW, 60), NOW) == Identity("ada", NOW + 60)
        assert tokens.verify(tokens.mint("ada", NOW, None), NOW + 1e9).expires_at is None

    def test_an_impossible_user_is_refused(self, tokens: Tokens) -> None:
        with pytest.raises(Unauthorized):
            tokens.mint("", NOW, None)


class TestTimeLeft:
    def test_until_the_end_and_then_until_the_end_of_the_leeway(self, tokens: Tokens) -> None:
        assert tokens.time_left(Identity("ada", None), NOW) is None
        assert tokens.time_left(Identity("ada", NOW + 5), NOW) == 5
        assert tokens.time_left(Identity("ada", NOW - 5), NOW) == LEEWAY - 5
        assert tokens.time_left(Identity("ada", NOW - 99), NOW) == 0


class TestTickets:
    def test_good_for_one_user_one_track_and_six_hours_more_than_it_lasts(
        self, tokens: Tokens
    ) -> None:
        ticket = tokens.ticket("Ада", "song", 3600.0, NOW)
        identity = tokens.verify_ticket(ticket, "song", NOW + 3600 + 6 * 3600)
        assert identity.user_id == "Ада"
        assert 7 * 3600 <= (identity.expires_at or 0) - NOW <= 8 * 3600
        with pytest.raises(Unauthorized):
            tokens.verify_ticket(ticket, "song", NOW + 8 * 3600)
        with pytest.raises(Unauthorized):
            tokens.verify_ticket(ticket, "other", NOW)

    def test_valid_across_restarts_and_not_with_another_secret(self, tokens: Tokens) -> None:
        ticket = tokens.ticket("ada", "song", None, NOW)
        assert Tokens(SECRET).verify_ticket(ticket, "song", NOW).user_id == "ada"
        other = Tokens(SECRET + "!")
        with pytest.raises(Unauthorized):
            other.verify_ticket(ticket, "song", NOW)

    def test_the_same_within_the_hour(self, tokens: Tokens) -> None:
        hour = NOW - NOW % 3600
        tickets = {tokens.ticket("ada", "song", 0.0, hour + after) for after in (1, 60, 3600)}
        assert len(tickets) == 1

    def test_another_expiry_or_user_does_not_fit_the_signature(self, tokens: Tokens) -> None:
        expiry, user, mac = tokens.ticket("ada", "song", None, NOW).split(".")
        eve = base64.urlsafe_b64encode(b"eve").rstrip(b"=").decode()
        for forged in (f"{int(expiry) + 1}.{user}.{mac}", f"{expiry}.{eve}.{mac}"):
            with pytest.raises(Unauthorized):
                tokens.verify_ticket(forged, "song", NOW)

    @pytest.mark.parametrize("ticket", ["", "..", "a.b.c", "1.!.c", "-1.YQ.c", "é", "²⁵.YQ.c"])
    def test_broken_tickets(self, tokens: Tokens, ticket: str) -> None:
        with pytest.raises(Unauthorized):
            tokens.verify_ticket(ticket, "song", NOW)

    @given(st.text(), st.text())
    def test_no_text_breaks_the_check(self, text: str, track_id: str) -> None:
        with pytest.raises(Unauthorized):
            Tokens(SECRET).verify_ticket(text, track_id, NOW)


class TestSessions:
    def test_as_long_as_its_token(self, tokens: Tokens) -> None:
        value, life = tokens.session(Identity("ada", NOW + 100), NOW)
        assert life == 100
        assert tokens.verify_session(value, NOW + 99).user_id == "ada"
        with pytest.raises(Unauthorized):
            tokens.verify_session(value, NOW + 100)

    def test_thirty_days_for_a_token_without_an_end(self, tokens: Tokens) -> None:
        assert tokens.session(Identity("ada", None), NOW)[1] == 30 * 24 * 3600


class TestRevocation:
    def test_proofs_given_out_before_are_void_and_later_ones_are_good(self, tokens: Tokens) -> None:
        token = tokens.mint("ada", NOW, None)
        ticket = tokens.ticket("ada", "song", None, NOW)
        session, _ = tokens.session(Identity("ada", None), NOW)
        tokens.revoked = {"ada": NOW + 0.5}
        with pytest.raises(Unauthorized):
            tokens.verify(token, NOW + 1)
        with pytest.raises(Unauthorized):
            tokens.verify_ticket(ticket, "song", NOW + 1)
        with pytest.raises(Unauthorized):
            tokens.verify_session(session, NOW + 1)
        later = NOW + 1
        assert tokens.verify(tokens.mint("ada", later, None), later).user_id == "ada"
        ticket = tokens.ticket("ada", "song", None, later)
        assert tokens.verify_ticket(ticket, "song", later).user_id == "ada"
        session, _ = tokens.session(Identity("ada", None), later)
        assert tokens.verify_session(session, later).user_id == "ada"

    def test_a_token_that_does_not_say_when_it_was_made_is_void(self, tokens: Tokens) -> None:
        tokens.revoked = {"ada": NOW}
        with pytest.raises(Unauthorized, match="revoked"):
            tokens.verify(signed({"sub": "ada"}), NOW + 1)
        assert tokens.verify(signed({"sub": "bob"}), NOW + 1).user_id == "bob"


class TestOneKindIsNeverAnother:
    def test_in_any_direction(self, tokens: Tokens) -> None:
        token = tokens.mint("ada", NOW, 600)
        ticket = tokens.ticket("ada", "", None, NOW)
        session, _ = tokens.session(Identity("ada", None), NOW)
        proofs = {token, ticket, session}

        def refused(check: Callable[[str], Identity], good: str) -> None:
            assert check(good).user_id == "ada"
            for proof in proofs - {good}:
                with pytest.raises(Unauthorized):
                    check(proof)

        refused(lambda proof: tokens.verify(proof, NOW), token)
        refused(lambda proof: tokens.verify_ticket(proof, "", NOW), ticket)
        refused(lambda proof: tokens.verify_session(proof, NOW), session)


class TestBearer:
    def test_the_header(self) -> None:
        assert bearer_token(None) is None
        assert bearer_token("Bearer abc") == bearer_token("bearer  abc ") == "abc"

    @pytest.mark.parametrize("header", ["", "abc", "Bearer", "Bearer ", "Basic abc"])
    def test_another(self, header: str) -> None:
        with pytest.raises(Unauthorized, match="Bearer TOKEN"):
            bearer_token(header)


class TestATokenThatComesAgain:
    """The answer is what it would be for one never seen before, whatever the time has done."""

    CLAIMS = (
        {"sub": "ada"},
        {"sub": 7, "iat": int(NOW)},
        {"sub": "ada", "exp": int(NOW) + 60, "role": "x" * 100},
        {"sub": "ada", "nbf": int(NOW) - 60, "exp": int(NOW) + 60},
        {"uid": "ada"},
    )

    @given(
        st.sampled_from(CLAIMS),
        st.lists(st.tuples(st.floats(-200, 200), st.booleans()), max_size=8),
    )
    def test_as_time_passes_and_users_are_revoked(
        self, claims: dict[str, Any], steps: list[tuple[float, bool]]
    ) -> None:
        token, used = signed(claims), Tokens(SECRET)
        for after, is_revoked in steps:
            now, fresh = NOW + after, Tokens(SECRET)
            if is_revoked:
                used.revoked = {"ada": NOW - 10, "7": now}
            fresh.revoked = used.revoked
            assert answer(used, token, now) == answer(fresh, token, now)

    @pytest.mark.parametrize("after", [LEEWAY - 1, LEEWAY, 10 * LEEWAY])
    def test_its_end_comes_when_it_comes(self, tokens: Tokens, after: float) -> None:
        token = signed({"sub": "ada", "exp": NOW})
        assert tokens.verify(token, NOW - 1).user_id == "ada"
        assert (answer(tokens, token, NOW + after) == Identity("ada", NOW)) == (after < LEEWAY)

    def test_after_a_revocation_nothing_is_remembered(self, tokens: Tokens) -> None:
        token = tokens.mint("ada", NOW, None)
        tokens.verify(token, NOW)
        tokens.revoked = {"ada": NOW + 1}
        for _ in range(2):
            with pytest.raises(Unauthorized, match="revoked"):
                tokens.verify(token, NOW + 2)

    def test_a_forged_one_is_no_better_beside_a_remembered_one(self, tokens: Tokens) -> None:
        token = tokens.mint("ada", NOW, None)
        tokens.verify(token, NOW)
        for _ in range(2):
            with pytest.raises(Unauthorized):
                tokens.verify(token[:-4] + "AAAA", NOW)

    def test_however_many_come_a_bounded_number_is_remembered(self, tokens: Tokens) -> None:
        for user in range(2000):
            tokens.verify(tokens.mint(f"user{user}", NOW, 60), NOW)
        tokens.verify(signed({"sub": "ada", "much": "x" * 4000}), NOW)
        assert len(tokens._remembered) == 1024
        assert tokens.verify(tokens.mint("user0", NOW, 60), NOW).user_id == "user0"


class TestATicketThatComesAgain:
    def test_its_end_comes_when_it_comes(self, tokens: Tokens) -> None:
        ticket = tokens.ticket("ada", "song", 60.0, NOW)
        end = tokens.verify_ticket(ticket, "song", NOW).expires_at or 0.0
        assert tokens.verify_ticket(ticket, "song", end - 1).user_id == "ada"
        with pytest.raises(Unauthorized):
            tokens.verify_ticket(ticket, "song", end)

    def test_it_opens_no_other_track_and_is_no_session(self, tokens: Tokens) -> None:
        ticket = tokens.ticket("ada", "song", 60.0, NOW)
        tokens.verify_ticket(ticket, "song", NOW)
        with pytest.raises(Unauthorized):
            tokens.verify_ticket(ticket, "other", NOW)
        with pytest.raises(Unauthorized):
            tokens.verify_session(ticket, NOW)

    def test_after_a_revocation_it_is_void(self, tokens: Tokens) -> None:
        ticket = tokens.ticket("ada", "song", 60.0, NOW)
        tokens.verify_ticket(ticket, "song", NOW)
        tokens.revoked = {"ada": NOW + 1}
        with pytest.raises(Unauthorized):
            tokens.verify_ticket(ticket, "song", NOW + 2)

    def test_a_bounded_number_is_remembered(self, tokens: Tokens) -> None:
        for user in range(2000):
            ticket = tokens.ticket(f"user{user}", "song", 60.0, NOW)
            assert tokens.verify_ticket(ticket, "song", NOW).user_id == f"user{user}"
        assert len(tokens._proven) == 1024


def answer(tokens: Tokens, token: str, now: float) -> Identity | str:
    try:
        return tokens.verify(token, now)
    except Unauthorized as refused:
        return str(refused)

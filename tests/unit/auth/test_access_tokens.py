"""Access tokens: what is accepted, what is refused, and what a revocation ends."""

from __future__ import annotations

import base64
import json
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiostream.auth.access_tokens import LEEWAY, Tokens
from audiostream.auth.tickets import CACHE_SIZE, Identity
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
    def test_a_signed_token_is_accepted_until_its_expiry(self, tokens: Tokens) -> None:
        token = signed({"sub": "ada", "exp": NOW + 60})
        assert tokens.verify(token, NOW) == Identity("ada", NOW + 60)

    def test_a_token_without_expiry_is_accepted(self, tokens: Tokens) -> None:
        assert tokens.verify(signed({"sub": "ada"}), NOW) == Identity("ada", None)

    @pytest.mark.parametrize(("sub", "user_id"), [(7, "7"), ("Ада", "Ада"), ("x" * 128, "x" * 128)])
    def test_user_ids_of_up_to_128_characters_are_accepted(
        self, tokens: Tokens, sub: object, user_id: str
    ) -> None:
        assert tokens.verify(signed({"sub": sub}), NOW).user_id == user_id

    @pytest.mark.parametrize("sub", ["", "x" * 129, "a\nb", "\x7f", "\u0085", None, True, 1.5, []])
    def test_an_invalid_user_id_is_refused(self, tokens: Tokens, sub: object) -> None:
        with pytest.raises(Unauthorized):
            tokens.verify(raw({"alg": "HS256"}, json.dumps({"sub": sub})), NOW)

    def test_a_lone_surrogate_in_a_user_id_is_refused(self, tokens: Tokens) -> None:
        with pytest.raises(Unauthorized):
            tokens.verify(raw({"alg": "HS256"}, '{"sub": "\\ud800"}'), NOW)

    def test_the_user_claim_is_configurable(self) -> None:
        tokens = Tokens(SECRET, user_claim="uid")
        assert tokens.verify(signed({"uid": 42}), NOW).user_id == "42"
        with pytest.raises(Unauthorized, match='"uid"'):
            tokens.verify(signed({"sub": "ada"}), NOW)

    def test_an_expired_token_is_refused_after_the_leeway(self, tokens: Tokens) -> None:
        token = signed({"sub": "ada", "exp": NOW})
        assert tokens.verify(token, NOW + LEEWAY - 1).user_id == "ada"
        with pytest.raises(Unauthorized, match="expired"):
            tokens.verify(token, NOW + LEEWAY)

    @pytest.mark.parametrize("claim", ["nbf", "iat"])
    def test_a_token_from_the_future_is_refused_beyond_the_leeway(
        self, tokens: Tokens, claim: str
    ) -> None:
        token = signed({"sub": "ada", claim: int(NOW + LEEWAY)})
        assert tokens.verify(token, NOW).user_id == "ada"
        with pytest.raises(Unauthorized, match="not valid yet"):
            tokens.verify(token, NOW - 1)

    @pytest.mark.parametrize(
        "exp", ['"soon"', '"1700000060"', "1e300", "1e400", "9" * 400, "NaN", "-5", "true", "[]"]
    )
    def test_an_expiry_that_is_no_date_is_refused(self, tokens: Tokens, exp: str) -> None:
        with pytest.raises(Unauthorized):
            tokens.verify(raw({"alg": "HS256"}, f'{{"sub": "ada", "exp": {exp}}}'), NOW)

    def test_a_number_of_5000_digits_is_refused(self, tokens: Tokens) -> None:
        for payload in (f'{{"sub": {"9" * 5000}}}', f'{{"sub": "a", "exp": {"9" * 5000}}}'):
            with pytest.raises(Unauthorized):
                tokens.verify(raw({"alg": "HS256"}, payload), NOW)

    def test_a_token_without_expiry_is_refused_where_one_is_required(self) -> None:
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

    def test_an_audience_is_ignored_where_none_is_set(self, tokens: Tokens) -> None:
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
    def test_a_forged_or_malformed_token_is_refused(self, tokens: Tokens, token: str) -> None:
        with pytest.raises(Unauthorized):
            tokens.verify(token, NOW)

    @given(st.text())
    def test_any_text_is_refused_as_a_token(self, text: str) -> None:
        with pytest.raises(Unauthorized):
            Tokens(SECRET).verify(text, NOW)

    def test_the_refusal_of_a_token_does_not_repeat_it(self, tokens: Tokens) -> None:
        token = signed({"sub": "ada", "exp": 1})
        with pytest.raises(Unauthorized) as refused:
            tokens.verify(token, NOW)
        assert token.split(".")[1] not in str(refused.value)


class TestMint:
    def test_a_minted_token_is_accepted(self) -> None:
        tokens = Tokens(SECRET, audience="music", issuer="home", user_claim="uid")
        assert tokens.verify(tokens.mint("ada", NOW, 60), NOW) == Identity("ada", NOW + 60)
        assert tokens.verify(tokens.mint("ada", NOW, None), NOW + 1e9).expires_at is None

    def test_no_token_is_minted_for_an_invalid_user_id(self, tokens: Tokens) -> None:
        with pytest.raises(Unauthorized):
            tokens.mint("", NOW, None)


class TestTimeLeft:
    def test_time_left_counts_to_the_expiry_and_then_to_the_end_of_the_leeway(
        self, tokens: Tokens
    ) -> None:
        assert tokens.time_left(Identity("ada", None), NOW) is None
        assert tokens.time_left(Identity("ada", NOW + 5), NOW) == 5
        assert tokens.time_left(Identity("ada", NOW - 5), NOW) == LEEWAY - 5
        assert tokens.time_left(Identity("ada", NOW - 99), NOW) == 0


class TestRevocation:
    def test_credentials_issued_before_a_revocation_are_refused_and_later_ones_accepted(
        self, tokens: Tokens
    ) -> None:
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

    def test_a_revocation_ends_a_token_without_an_iat(self, tokens: Tokens) -> None:
        tokens.revoked = {"ada": NOW}
        with pytest.raises(Unauthorized, match="revoked"):
            tokens.verify(signed({"sub": "ada"}), NOW + 1)
        assert tokens.verify(signed({"sub": "bob"}), NOW + 1).user_id == "bob"


class TestCachedTokens:
    """A cached token is verified like one that was never seen before."""

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
    def test_a_cached_token_is_verified_like_a_new_one_as_time_passes_and_users_are_revoked(
        self, claims: dict[str, Any], steps: list[tuple[float, bool]]
    ) -> None:
        token, used = signed(claims), Tokens(SECRET)
        for after, is_revoked in steps:
            now, fresh = NOW + after, Tokens(SECRET)
            if is_revoked:
                used.revoked = {"ada": NOW - 10, "7": now}
            fresh.revoked = used.revoked
            assert outcome(used, token, now) == outcome(fresh, token, now)

    @pytest.mark.parametrize("after", [LEEWAY - 1, LEEWAY, 10 * LEEWAY])
    def test_a_cached_token_expires(self, tokens: Tokens, after: float) -> None:
        token = signed({"sub": "ada", "exp": NOW})
        assert tokens.verify(token, NOW - 1).user_id == "ada"
        assert (outcome(tokens, token, NOW + after) == Identity("ada", NOW)) == (after < LEEWAY)

    def test_a_cached_token_is_refused_after_a_revocation(self, tokens: Tokens) -> None:
        token = tokens.mint("ada", NOW, None)
        tokens.verify(token, NOW)
        tokens.revoked = {"ada": NOW + 1}
        for _ in range(2):
            with pytest.raises(Unauthorized, match="revoked"):
                tokens.verify(token, NOW + 2)

    def test_a_forged_token_is_refused_beside_a_cached_one(self, tokens: Tokens) -> None:
        token = tokens.mint("ada", NOW, None)
        tokens.verify(token, NOW)
        for _ in range(2):
            with pytest.raises(Unauthorized):
                tokens.verify(token[:-4] + "AAAA", NOW)

    def test_the_cache_of_tokens_is_bounded(self, tokens: Tokens) -> None:
        for user in range(2000):
            tokens.verify(tokens.mint(f"user{user}", NOW, 60), NOW)
        tokens.verify(signed({"sub": "ada", "much": "x" * 4000}), NOW)
        assert len(tokens._claims) == CACHE_SIZE
        assert tokens.verify(tokens.mint("user0", NOW, 60), NOW).user_id == "user0"


def outcome(tokens: Tokens, token: str, now: float) -> Identity | str:
    try:
        return tokens.verify(token, now)
    except Unauthorized as refused:
        return str(refused)

"""Credentials: the header is parsed, one valid credential is enough, no kind passes as another."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from audiostream.auth.access_tokens import Tokens
from audiostream.auth.credentials import StreamCredentials, bearer_token
from audiostream.auth.tickets import Identity
from audiostream.errors import Unauthorized

NOW = 1_700_000_000.0


@pytest.fixture
def tokens() -> Tokens:
    return Tokens("a secret of more than thirty-two bytes")


class TestBearerToken:
    def test_the_scheme_is_case_insensitive_and_blanks_are_stripped(self) -> None:
        assert bearer_token(None) is None
        assert bearer_token("Bearer abc") == bearer_token("bearer  abc ") == "abc"

    @pytest.mark.parametrize("header", ["", "abc", "Bearer", "Bearer ", "Basic abc"])
    def test_another_scheme_or_an_empty_token_is_refused(self, header: str) -> None:
        with pytest.raises(Unauthorized, match="Bearer TOKEN"):
            bearer_token(header)


class TestStreamCredentials:
    def test_one_valid_credential_is_enough(self, tokens: Tokens) -> None:
        token = tokens.mint("ada", NOW, None)
        ticket = tokens.ticket("ada", "song", None, NOW)
        session, _ = tokens.session(Identity("ada", None), NOW)
        for credentials in (
            StreamCredentials(authorization=f"Bearer {token}", ticket="x", session="x"),
            StreamCredentials(authorization="Basic x", ticket=ticket, session="x"),
            StreamCredentials(authorization="Bearer x", ticket="x", session=session),
        ):
            assert credentials.authenticate(tokens, "song", NOW).user_id == "ada"

    @pytest.mark.parametrize(
        ("credentials", "reason"),
        [
            (StreamCredentials(), "a stream needs a Bearer token, a ticket or a session cookie"),
            (StreamCredentials(authorization="Bearer \xe9"), "the token is malformed"),
            (StreamCredentials(authorization="Bearer x", ticket="é"), "the ticket is malformed"),
            (StreamCredentials(authorization="Basic x"), "must be: Bearer TOKEN"),
            (StreamCredentials(ticket="x", session="é"), "the ticket is malformed"),
        ],
    )
    def test_without_a_valid_credential_the_last_reason_is_given(
        self, tokens: Tokens, credentials: StreamCredentials, reason: str
    ) -> None:
        with pytest.raises(Unauthorized, match=reason):
            credentials.authenticate(tokens, "song", NOW)


class TestKinds:
    def test_no_kind_of_credential_is_accepted_as_another(self, tokens: Tokens) -> None:
        token = tokens.mint("ada", NOW, 600)
        ticket = tokens.ticket("ada", "", None, NOW)
        session, _ = tokens.session(Identity("ada", None), NOW)
        credentials = {token, ticket, session}

        def refused(check: Callable[[str], Identity], good: str) -> None:
            assert check(good).user_id == "ada"
            for credential in credentials - {good}:
                with pytest.raises(Unauthorized):
                    check(credential)

        refused(lambda credential: tokens.verify(credential, NOW), token)
        refused(lambda credential: tokens.verify_ticket(credential, "", NOW), ticket)
        refused(lambda credential: tokens.verify_session(credential, NOW), session)

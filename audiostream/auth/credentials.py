"""Where a credential travels: the Authorization header, the query, the session cookie."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import Unauthorized
from .access_tokens import Tokens
from .tickets import Identity


def bearer_token(authorization: str | None) -> str | None:
    """Return the token of an Authorization header, None without a header (RFC 6750 §2.1).

    Raises ``Unauthorized`` for another scheme and for an empty token.
    """
    if authorization is None:
        return None
    scheme, _, token = authorization.strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthorized("the Authorization header must be: Bearer TOKEN")
    return token.strip()


def authenticate_stream(
    tokens: Tokens,
    track_id: str,
    now: float,
    *,
    authorization: str | None,
    ticket: str | None,
    cookie: str | None,
    is_public: bool,
) -> str | None:
    """Return the user id, by Authorization header, ticket or session cookie, in this order.

    One valid credential is enough: a browser may send an expired cookie beside a fresh ticket.
    Without any, None where streams are public. ``now`` is in epoch seconds. Raises
    ``Unauthorized``.
    """
    refusal = Unauthorized("a stream needs a Bearer token, a ticket or a session cookie")
    verifiers: tuple[tuple[str | None, Callable[[str], Identity]], ...] = (
        (authorization, lambda header: tokens.verify(bearer_token(header) or "", now)),
        (ticket, lambda value: tokens.verify_ticket(value, track_id, now)),
        (cookie, lambda value: tokens.verify_session(value, now)),
    )
    for credential, verify in verifiers:
        if credential is not None:
            try:
                return verify(credential).user_id
            except Unauthorized as error:
                refusal = error
    if is_public:
        return None
    raise refusal

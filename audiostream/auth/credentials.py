"""Where a credential travels: the Authorization header, the query, the session cookie."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from ..errors import Unauthorized
from .access_tokens import Tokens
from .cookies import SessionCookie
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


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamCredentials:
    """The credentials that a stream request may carry, None where one is absent."""

    authorization: str | None = None
    ticket: str | None = None
    session: str | None = None

    @classmethod
    def of(cls, request: web.Request, cookie: SessionCookie | None) -> StreamCredentials:
        """Read the header, ``?ticket=``, and with ``cookie`` the session cookie."""
        return cls(
            authorization=request.headers.get("Authorization"),
            ticket=request.query.get("ticket"),
            session=None if cookie is None else cookie.read(request),
        )

    def authenticate(self, tokens: Tokens, track_id: str, now: float) -> Identity:
        """Return whose credentials these are; ``now`` in epoch seconds.

        One valid credential is enough: a browser sends an expired cookie beside a fresh ticket.
        Raises ``Unauthorized`` with the reason of the last one that was refused.
        """
        refusal = Unauthorized("a stream needs a Bearer token, a ticket or a session cookie")
        try:
            if (token := bearer_token(self.authorization)) is not None:
                return tokens.verify(token, now)
        except Unauthorized as error:
            refusal = error
        try:
            if self.ticket is not None:
                return tokens.verify_ticket(self.ticket, track_id, now)
        except Unauthorized as error:
            refusal = error
        if self.session is not None:
            return tokens.verify_session(self.session, now)
        raise refusal

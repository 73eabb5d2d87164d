"""Access tokens: JSON Web Tokens (RFC 7519) that are signed with HS256 alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import jwt

from ..errors import Unauthorized
from .tickets import CACHE_SIZE, Identity, TicketSigner

LEEWAY: Final = 30
"""Seconds by which the clocks of issuer and server may differ (``exp``, ``nbf``, ``iat``)."""
MAX_TOKEN_LENGTH: Final = 8192
"""Characters of a token. aiohttp takes as many in one header field."""
MAX_CACHED_LENGTH: Final = 2048
"""Characters of a token that is cached: together with ``CACHE_SIZE`` 2 MiB."""
MAX_USER_ID_LENGTH: Final = 128
"""Characters."""

_LATEST_DATE = 253_402_300_799  # the last second of the year 9999, the last that datetime has
_SCHEME = re.compile(r"bearer +", re.IGNORECASE)
# Control characters, and lone surrogates, which no encoding can write.
_CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class _Claims(NamedTuple):
    """What is kept of a verified token; dates in epoch seconds."""

    user_id: str
    expires_at: float | None
    not_before: float | None
    issued_at: float | None


class Tokens(TicketSigner):
    """Verifies and issues the credentials of one secret. ``now`` is in epoch seconds throughout.

    ``user_claim`` names the claim with the user id; ``audience`` and ``issuer`` are checked where
    they are given. A token issued at or before its user's ``revoked`` moment is refused.
    """

    def __init__(
        self,
        secret: str,
        *,
        user_claim: str = "sub",
        audience: str | None = None,
        issuer: str | None = None,
        require_exp: bool = False,
    ) -> None:
        super().__init__(secret)
        self._secret = secret
        self._user_claim = user_claim
        self._audience = audience
        self._issuer = issuer
        self._claims: dict[str, _Claims] = {}
        self._options: dict[str, Any] = {
            "require": [user_claim, "exp"] if require_exp else [user_claim],
            "verify_sub": False,  # PyJWT refuses an integer as "sub"
            "verify_exp": False,  # PyJWT takes no ``now``, and accepts "1e300" and strings
            "verify_nbf": False,
            "verify_iat": False,
            "verify_aud": audience is not None,
            "verify_iss": issuer is not None,
        }

    def verify(self, token: str, now: float) -> Identity:
        """Return whose access token this is. Raises ``Unauthorized``.

        A ``Bearer`` scheme in front is skipped, as some clients send it in the first frame or the
        query too. The signature of a cached token is not verified again; its dates and the
        revocations are.
        """
        if scheme := _SCHEME.match(token):
            token = token[scheme.end() :]
        claims = self._claims.pop(token, None) or self._decode(token)
        if claims.expires_at is not None and now >= claims.expires_at + LEEWAY:
            raise Unauthorized("the token has expired")
        for date in (claims.not_before, claims.issued_at):
            if date is not None and now < date - LEEWAY:
                raise Unauthorized("the token is not valid yet")
        revoked_at = self.revoked.get(claims.user_id)
        if revoked_at is not None and (claims.issued_at or 0.0) <= revoked_at:
            raise Unauthorized("the token has been revoked")
        self._store(token, claims)
        return Identity(claims.user_id, claims.expires_at)

    def _store(self, token: str, claims: _Claims) -> None:
        """Cache verified claims, and evict those that were used least recently."""
        if len(token) > MAX_CACHED_LENGTH:
            return
        if len(self._claims) >= CACHE_SIZE:
            del self._claims[next(iter(self._claims))]
        self._claims[token] = claims

    def _decode(self, token: str) -> _Claims:
        """Return the claims of a token whose signature is right. Raises ``Unauthorized``."""
        if len(token) > MAX_TOKEN_LENGTH or not token.isascii():
            raise Unauthorized("the token is malformed")
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._secret,
                algorithms=["HS256"],
                audience=self._audience,
                issuer=self._issuer,
                options=self._options,  # type: ignore[arg-type]
            )
        except jwt.InvalidSignatureError:
            raise Unauthorized("the token's signature is wrong") from None
        except jwt.MissingRequiredClaimError as error:
            raise Unauthorized(f'the token lacks "{error.claim}"') from None
        except (jwt.InvalidAudienceError, jwt.InvalidIssuerError):
            raise Unauthorized("the token is meant for somebody else") from None
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise Unauthorized("the token is malformed") from None
        return _Claims(
            _parse_user_id(claims.get(self._user_claim)),
            *(_numeric_date(claims, name) for name in ("exp", "nbf", "iat")),
        )

    def mint(self, user_id: str, now: float, lifetime: float | None) -> str:
        """Return an access token, valid for ``lifetime`` seconds or without end.

        For development and small households: a larger user base has an issuer of its own.
        Raises ``Unauthorized`` for a user id that ``verify`` would refuse.
        """
        claims: dict[str, Any] = {self._user_claim: _parse_user_id(user_id), "iat": int(now)}
        if lifetime is not None:
            claims["exp"] = int(now + lifetime)
        if self._audience is not None:
            claims["aud"] = self._audience
        if self._issuer is not None:
            claims["iss"] = self._issuer
        return jwt.encode(claims, self._secret, algorithm="HS256")

    def time_left(self, identity: Identity, now: float) -> float | None:
        """Return the seconds until an identity expires, None for never.

        A token that was accepted only thanks to the leeway expires with the leeway.
        """
        if identity.expires_at is None:
            return None
        left = identity.expires_at - now
        return left if left > 0 else max(0.0, left + LEEWAY)


def _numeric_date(claims: Mapping[str, Any], name: str) -> float | None:
    """Return a NumericDate in epoch seconds (RFC 7519 §2), None where it is absent."""
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unauthorized(f'the token\'s "{name}" is not a number')
    if not 0 <= value <= _LATEST_DATE:  # refuses NaN, and integers beyond any float
        raise Unauthorized(f'the token\'s "{name}" is not a date')
    return float(value)


def _parse_user_id(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**128:
        value = str(value)
    if (
        not isinstance(value, str)
        or not 0 < len(value) <= MAX_USER_ID_LENGTH
        or _CONTROL_CHARACTERS.search(value)
    ):
        raise Unauthorized("the user id must be 1 to 128 characters without control characters")
    return value

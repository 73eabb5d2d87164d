"""Proofs of identity: access tokens (JWT), stream tickets and the session cookie's value.

Here: verifying and minting. Not here: where a proof travels (``gateway``, ``rest``,
``streaming``). An access token is never a ticket nor a ticket an access token: tickets and
session values are not JWTs, and are signed by keys of their own, derived from the secret.
"""

from __future__ import annotations

import base64
import hmac
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt

from ..errors import Unauthorized

LEEWAY = 30
"""Seconds by which clocks may differ (``exp``, ``nbf``, ``iat``)."""
TICKET_LIFE = 6 * 3600
"""Seconds that a ticket is good for beyond the duration of its track."""
SESSION_LIFE = 30 * 24 * 3600
"""Seconds that a session is good for where the token behind it never expires."""
_GRID = 3600
_LATEST_EXPIRY = 253_402_300_799  # the last second of the year 9999
_MAX_PROOF_LENGTH = 8192
_MOST_REMEMBERED = 1024
_LONGEST_REMEMBERED = 2048
_BAD_PROOF = "the ticket is malformed, forged or expired"
_SCHEME = re.compile(r"bearer +", re.IGNORECASE)
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters, and halves of characters that are not Unicode."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a proof speaks for, and until when (epoch seconds, None: without end)."""

    user_id: str
    expires_at: float | None


class Tokens:
    """Verifies and makes the proofs of one secret. ``now`` is in epoch seconds throughout.

    ``user_claim`` names the claim that holds the user id; ``audience`` and ``issuer`` are checked
    where they are given. ``revoked`` says when each user was revoked last: proofs given out
    before are refused.
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
        self._secret = secret
        self._user_claim = user_claim
        self._audience = audience
        self._issuer = issuer
        self._ticket_key = hmac.digest(secret.encode(), b"audiostream stream ticket", "sha256")
        self._session_key = hmac.digest(secret.encode(), b"audiostream stream session", "sha256")
        self._revoked: Mapping[str, float] = {}
        self._remembered: dict[str, dict[str, Any]] = {}
        self._proven: dict[tuple[bytes, str, str], Identity] = {}
        self._options: dict[str, Any] = {
            "require": [user_claim, "exp"] if require_exp else [user_claim],
            "verify_sub": False,  # an integer is a fine user id; checked below
            "verify_exp": False,  # ours takes ``now``, and refuses what is no number
            "verify_nbf": False,
            "verify_iat": False,
            "verify_aud": audience is not None,
            "verify_iss": issuer is not None,
        }

    @property
    def revoked(self) -> Mapping[str, float]:
        return self._revoked

    @revoked.setter
    def revoked(self, revoked: Mapping[str, float]) -> None:
        self._revoked = revoked
        self._remembered.clear()
        self._proven.clear()

    def verify(self, token: str, now: float) -> Identity:
        """Whose access token this is (RFC 7519, HS256 alone). Raises ``Unauthorized``.

        The scheme may stand before it, in any case: clients send ``Bearer TOKEN`` as a first
        frame's or a handshake's token too.

        Of a token that was good a moment ago the signature is known to be right; its claims are
        held against ``now`` and the revocations every time.
        """
        if scheme := _SCHEME.match(token):
            token = token[scheme.end() :]
        known = self._remembered.pop(token, None)
        claims = known or self._claims(token)
        expires_at = _moment(claims, "exp")
        if expires_at is not None and now >= expires_at + LEEWAY:
            raise Unauthorized("the token has expired")
        for claim in ("nbf", "iat"):
            moment = _moment(claims, claim)
            if moment is not None and now < moment - LEEWAY:
                raise Unauthorized("the token is not valid yet")
        identity = Identity(_user_id(claims.get(self._user_claim)), expires_at)
        revoked_at = self.revoked.get(identity.user_id)
        if revoked_at is not None and (_moment(claims, "iat") or 0.0) <= revoked_at:
            raise Unauthorized("the token has been revoked")
        self._remember(token, known or self._that_count(claims))
        return identity

    def _that_count(self, claims: dict[str, Any]) -> dict[str, Any]:
        names = (self._user_claim, "exp", "nbf", "iat")
        return {name: claims[name] for name in names if name in claims}

    def _remember(self, token: str, claims: dict[str, Any]) -> None:
        """Keep a good token's claims for when it comes again.

        One that comes again moves to the end; what has not come for longest makes room.
        """
        if len(token) > _LONGEST_REMEMBERED:
            return
        if len(self._remembered) >= _MOST_REMEMBERED:
            del self._remembered[next(iter(self._remembered))]
        self._remembered[token] = claims

    def _claims(self, token: str) -> dict[str, Any]:
        if len(token) > _MAX_PROOF_LENGTH or not token.isascii():
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
        return claims

    def mint(self, user_id: str, now: float, life: float | None) -> str:
        """An access token for ``user_id``, good for ``life`` seconds or without end.

        For development and small households: a real user base has an issuer of its own.
        Raises ``Unauthorized`` for a user id that ``verify`` would refuse.
        """
        claims: dict[str, Any] = {self._user_claim: _user_id(user_id), "iat": int(now)}
        if life is not None:
            claims["exp"] = int(now + life)
        if self._audience is not None:
            claims["aud"] = self._audience
        if self._issuer is not None:
            claims["iss"] = self._issuer
        return jwt.encode(claims, self._secret, algorithm="HS256")

    def time_left(self, identity: Identity, now: float) -> float | None:
        """Seconds until an identity's proof ends, None for never.

        One that was accepted only thanks to the leeway ends with the leeway.
        """
        if identity.expires_at is None:
            return None
        left = identity.expires_at - now
        return left if left > 0 else max(0.0, left + LEEWAY)

    def ticket(self, user_id: str, track_id: str, duration: float | None, now: float) -> str:
        """A ticket for one stream of one user, good for ``duration`` + 6 h at least.

        Within one hour the same ticket is given again, so that lists of tracks can be cached.
        """
        return self.ticket_until(self.ticket_end(duration, now), user_id, track_id)

    def ticket_end(self, duration: float | None, now: float) -> int:
        """When a ticket that is made now expires: a full hour, in epoch seconds."""
        return _next_hour(now + (duration or 0.0) + TICKET_LIFE)

    def ticket_until(self, expires_at: int, user_id: str, track_id: str) -> str:
        """The ticket that expires then."""
        return self._sign(self._ticket_key, user_id, expires_at, track_id)

    def verify_ticket(self, ticket: str, track_id: str, now: float) -> Identity:
        """Whose ticket for ``track_id`` this is. Raises ``Unauthorized``."""
        return self._check(self._ticket_key, ticket, track_id, now)

    def session(self, identity: Identity, now: float) -> tuple[str, int]:
        """The value of a session cookie, and the seconds it is good for (its token's life)."""
        expires_at = int(identity.expires_at or now + SESSION_LIFE)
        value = self._sign(self._session_key, identity.user_id, expires_at, "")
        return value, max(0, expires_at - int(now))

    def session_tag(self, prefix: str) -> str:
        """A few characters that differ where the secret or the path ``prefix`` does."""
        return hmac.digest(self._session_key, prefix.encode(), "sha256")[:4].hex()

    def verify_session(self, value: str, now: float) -> Identity:
        """Whose session this is. Raises ``Unauthorized``."""
        return self._check(self._session_key, value, "", now)

    def _sign(self, key: bytes, user_id: str, expires_at: int, subject: str) -> str:
        user = base64.urlsafe_b64encode(user_id.encode()).rstrip(b"=").decode()
        return f"{expires_at}.{user}.{self._mac(key, user_id, expires_at, subject)}"

    def _check(self, key: bytes, proof: str, subject: str, now: float) -> Identity:
        """Whose proof this is. Of one that was good before, only the end is looked at again."""
        identity = self._proven.get((key, proof, subject))
        if identity is None:
            identity = self._prove(key, proof, subject)
            if len(self._proven) >= _MOST_REMEMBERED:
                del self._proven[next(iter(self._proven))]
            self._proven[key, proof, subject] = identity
        if now >= (identity.expires_at or 0.0):
            raise Unauthorized(_BAD_PROOF)
        return identity

    def _prove(self, key: bytes, proof: str, subject: str) -> Identity:
        refused = Unauthorized(_BAD_PROOF)
        parts = proof.split(".")
        if len(proof) > _LONGEST_REMEMBERED or len(parts) != 3 or not proof.isascii():
            raise refused
        expiry, user, mac = parts
        if not (expiry.isdigit() and len(expiry) <= 12):
            raise refused
        try:
            user_id = base64.urlsafe_b64decode(user + "=" * (-len(user) % 4)).decode()
        except ValueError:
            raise refused from None
        if not hmac.compare_digest(mac, self._mac(key, user_id, int(expiry), subject)):
            raise refused
        return Identity(user_id, float(expiry))

    def _mac(self, key: bytes, user_id: str, expires_at: int, subject: str) -> str:
        """The signature. When a user is revoked it changes, and what was signed before is void."""
        signed = json.dumps([user_id, expires_at, subject, self.revoked.get(user_id)]).encode()
        digest = hmac.digest(key, signed, "sha256")
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def bearer_token(authorization: str | None) -> str | None:
    """The token of an Authorization header, None without a header (RFC 6750 §2.1).

    Raises ``Unauthorized`` for another scheme or nothing behind it.
    """
    if authorization is None:
        return None
    scheme, _, token = authorization.strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthorized("the Authorization header must be: Bearer TOKEN")
    return token.strip()


def _moment(claims: dict[str, Any], name: str) -> float | None:
    """A NumericDate in epoch seconds (RFC 7519 §2), None where absent."""
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unauthorized(f'the token\'s "{name}" is not a number')
    if not 0 <= value <= _LATEST_EXPIRY:  # neither NaN nor what no float can hold
        raise Unauthorized(f'the token\'s "{name}" is not a date')
    return float(value)


def _user_id(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**128:
        value = str(value)
    if not isinstance(value, str) or not 0 < len(value) <= 128 or _CONTROLS.search(value):
        raise Unauthorized("the user id must be 1 to 128 characters without control characters")
    return value


def _next_hour(moment: float) -> int:
    return math.ceil(moment / _GRID) * _GRID

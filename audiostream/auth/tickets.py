"""Signed stream URLs and session cookie values: ``expiry.user.signature``, in that order.

``expiry`` is in epoch seconds, ``user`` is the user id in base64url, ``signature`` an HMAC-SHA256
over user, expiry, track and the user's last revocation. Neither is a JWT, and each kind has its own
key, which is derived from the secret: no kind of credential is accepted as another one.
"""

from __future__ import annotations

import base64
import hmac
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ..errors import Unauthorized

TICKET_LIFETIME: Final = 6 * 3600
"""Seconds that a ticket is valid for beyond the duration of its track: time for pauses."""
SESSION_LIFETIME: Final = 30 * 24 * 3600
"""Seconds that a session is valid for where its access token never expires."""
EXPIRY_STEP: Final = 3600
"""Seconds to which a ticket's expiry is rounded up, so that lists of tracks can be cached."""
CACHE_SIZE: Final = 1024
"""Tickets and sessions whose identity is cached, and as many access tokens."""
MAX_LENGTH: Final = 2048
"""Characters of a ticket: a user id of 128 characters makes fewer than 800."""

_REFUSAL = "the ticket is malformed, forged or expired"


@dataclass(frozen=True, slots=True)
class Identity:
    """The user of a credential; it ends at ``expires_at`` in epoch seconds, None for never."""

    user_id: str
    expires_at: float | None


class TicketSigner:
    """Signs and verifies tickets and session values. ``now`` is in epoch seconds throughout.

    ``revoked`` maps user ids to the epoch seconds of their last revocation, which is part of each
    signature: a revocation invalidates what was signed before.
    """

    def __init__(self, secret: str) -> None:
        self.revoked: Mapping[str, float] = {}
        self._ticket_key = hmac.digest(secret.encode(), b"audiostream stream ticket", "sha256")
        self._session_key = hmac.digest(secret.encode(), b"audiostream stream session", "sha256")
        self._identities: dict[tuple[bytes, str, str], tuple[Identity, float | None]] = {}

    def ticket(self, user_id: str, track_id: str, duration: float | None, now: float) -> str:
        """Return a ticket for one user and track, valid for ``duration`` + 6 h at least.

        Within one ``EXPIRY_STEP`` the result is the same.
        """
        return self.ticket_until(self.ticket_expiry(duration, now), user_id, track_id)

    def ticket_expiry(self, duration: float | None, now: float) -> int:
        """Return when a ticket that is signed now expires, in epoch seconds."""
        earliest = now + (duration or 0.0) + TICKET_LIFETIME
        return math.ceil(earliest / EXPIRY_STEP) * EXPIRY_STEP

    def ticket_until(self, expires_at: int, user_id: str, track_id: str) -> str:
        """Return the ticket that expires then."""
        return self._sign(self._ticket_key, user_id, expires_at, track_id)

    def verify_ticket(self, ticket: str, track_id: str, now: float) -> Identity:
        """Return whose ticket for ``track_id`` this is. Raises ``Unauthorized``."""
        return self._verify(self._ticket_key, ticket, track_id, now)

    def session(self, identity: Identity, now: float) -> tuple[str, int]:
        """Return a session cookie's value and its ``Max-Age``: what is left of its token's."""
        expires_at = int(identity.expires_at or now + SESSION_LIFETIME)
        value = self._sign(self._session_key, identity.user_id, expires_at, "")
        return value, max(0, expires_at - int(now))

    def verify_session(self, value: str, now: float) -> Identity:
        """Return whose session this is. Raises ``Unauthorized``."""
        return self._verify(self._session_key, value, "", now)

    def session_tag(self, path: str) -> str:
        """Return 8 hexadecimal digits that differ where the secret or the ``path`` does."""
        return hmac.digest(self._session_key, path.encode(), "sha256")[:4].hex()

    def _sign(self, key: bytes, user_id: str, expires_at: int, subject: str) -> str:
        user = _base64url(user_id.encode())
        return f"{expires_at}.{user}.{self._signature(key, user_id, expires_at, subject)}"

    def _verify(self, key: bytes, credential: str, subject: str, now: float) -> Identity:
        identity, revoked_at = self._identities.get((key, credential, subject), (None, None))
        if identity is None or self.revoked.get(identity.user_id) != revoked_at:
            identity = self._parse(key, credential, subject)
            if len(self._identities) >= CACHE_SIZE:
                del self._identities[next(iter(self._identities))]
            revoked_at = self.revoked.get(identity.user_id)
            self._identities[key, credential, subject] = identity, revoked_at
        if now >= (identity.expires_at or 0.0):
            raise Unauthorized(_REFUSAL)
        return identity

    def _parse(self, key: bytes, credential: str, subject: str) -> Identity:
        """Return the identity of a rightly signed credential. Raises ``Unauthorized``."""
        refused = Unauthorized(_REFUSAL)
        parts = credential.split(".")
        if len(credential) > MAX_LENGTH or len(parts) != 3 or not credential.isascii():
            raise refused
        expiry, user, signature = parts
        if not (expiry.isdigit() and len(expiry) <= 12):
            raise refused
        try:
            user_id = base64.urlsafe_b64decode(user + "=" * (-len(user) % 4)).decode()
        except ValueError:
            raise refused from None
        if not hmac.compare_digest(signature, self._signature(key, user_id, int(expiry), subject)):
            raise refused
        return Identity(user_id, float(expiry))

    def _signature(self, key: bytes, user_id: str, expires_at: int, subject: str) -> str:
        signed = json.dumps([user_id, expires_at, subject, self.revoked.get(user_id)]).encode()
        return _base64url(hmac.digest(key, signed, "sha256"))


def _base64url(data: bytes) -> str:
    """Return base64url without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

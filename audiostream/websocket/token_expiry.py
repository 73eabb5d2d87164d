"""The timer of an access token: ``tokenExpiring`` before its end, and the disconnect at its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ..auth.access_tokens import Tokens
from ..auth.tickets import Identity
from ..protocol.envelope import encode_frame

EXPIRY_NOTICE = 60.0
"""Seconds between ``tokenExpiring`` and the token's end: enough for a client to fetch another."""


class TokenExpiryTimer:
    """Sends ``tokenExpiring`` and calls ``on_expired`` for the token that was watched last.

    Timers run by a monotonic clock; ``reschedule`` sets them anew when the wall clock is set.
    """

    __slots__ = ("_identity", "_on_expired", "_send_text", "_timers", "_tokens", "_wall_clock")

    def __init__(
        self,
        tokens: Tokens,
        wall_clock: Callable[[], float],
        send_text: Callable[[str], None],
        on_expired: Callable[[], None],
    ) -> None:
        self._tokens = tokens
        self._wall_clock = wall_clock
        self._send_text = send_text
        self._on_expired = on_expired
        self._identity: Identity | None = None
        self._timers: tuple[asyncio.TimerHandle, ...] = ()

    def watch(self, identity: Identity) -> None:
        """Replace the watched token. A token without an end needs no timer."""
        self.stop()
        left = self._tokens.time_left(identity, self._wall_clock())
        if left is None:
            return
        self._identity = identity
        loop = asyncio.get_running_loop()
        notice = encode_frame("tokenExpiring", {"expiresAt": expires_at_ms(identity)})
        self._timers = (
            loop.call_later(max(0.0, left - EXPIRY_NOTICE), self._send_text, notice),
            loop.call_later(left, self._on_expired),
        )

    def reschedule(self) -> None:
        """Set the timers anew: the wall clock was set."""
        if self._identity is not None:
            self.watch(self._identity)

    def stop(self) -> None:
        """Cancel the timers."""
        for timer in self._timers:
            timer.cancel()
        self._timers = ()
        self._identity = None


def expires_at_ms(identity: Identity) -> int | None:
    """Return the token's end in epoch milliseconds, None where it has none."""
    return None if identity.expires_at is None else int(identity.expires_at * 1000)

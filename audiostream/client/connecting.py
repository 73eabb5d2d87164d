"""``connect``: one device of a user, connected until the block ends."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import get_args

from aiohttp import ClientSession

from .connection import Token
from .model import Sounds
from .player import Player
from .wire import Address


@asynccontextmanager
async def connect(
    url: str,
    token: Token,
    *,
    device_id: str | None = None,
    device_name: str | None = None,
    sounds: Sounds = "active",
    session: ClientSession | None = None,
    timeout: float = 10.0,  # noqa: ASYNC109 - of every single command, not of this call
) -> AsyncIterator[Player]:
    """Connect a device to ``http(s)://host[:port][/prefix]`` until the block ends.

    Does not wait for the server: it may come up later, go away, and come back; it is tried again
    after up to 0.5 s, then 1 s, 2 s, at most 30 s. ``timeout`` is what a command may take in
    seconds, all tries together. A ``token`` function is called for each connection and before the
    last token expires. ``sounds`` decides ``Player.sounds_here``. A ``session`` is left open.
    Raises ``ValueError`` for a bad URL or ``sounds``.
    """
    address = Address.parse(url)
    if sounds not in get_args(Sounds):
        raise ValueError(f"sounds must be 'active' or 'always', not {sounds!r}")
    async with AsyncExitStack() as stack:
        if session is None:
            session = await stack.enter_async_context(ClientSession())
        labels = {"deviceId": device_id or secrets.token_hex(8)}
        if device_name is not None:
            labels["deviceName"] = device_name
        player = Player(address, token, labels, session, timeout, sounds)
        running = asyncio.create_task(player.run())
        try:
            yield player
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

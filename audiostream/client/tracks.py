"""The tracks of the server, by REST: lists are too long for a frame."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from aiohttp import ClientSession, ClientTimeout

from ..errors import InvalidMessage
from .connection import Connection
from .model import Track
from .wire import Address, parse_error, parse_track


@dataclass(frozen=True, slots=True)
class TrackRequests:
    """Requests for tracks with the token of a connection; ``timeout`` in seconds for each.

    None is tried again: they raise ``aiohttp.ClientError`` if the server cannot be reached, and
    what it answers.
    """

    session: ClientSession
    connection: Connection
    address: Address
    timeout: float

    async def list(self, q: str | None) -> list[Track]:
        """Return all tracks, or those that match ``q``."""
        found = await self._get("tracks", {} if q is None else {"q": q})
        if not isinstance(found, dict) or not isinstance(found.get("tracks"), list):
            raise InvalidMessage("the server sent what is not a list of tracks")
        return [parse_track(each, self.address) for each in found["tracks"]]

    async def find(self, track_id: str) -> Track:
        """Return one track."""
        found = await self._get(f"tracks/{quote(track_id, safe='')}", {})
        return parse_track(found, self.address)

    async def _get(self, path: str, params: Mapping[str, str]) -> Any:
        self.connection.check()
        async with self.session.get(
            f"{self.address.base}/api/{path}",
            params=params,
            headers={"Authorization": f"Bearer {await self.connection.fresh_token()}"},
            timeout=ClientTimeout(self.timeout),
        ) as response:
            try:
                content = json.loads(await response.text())
                error = None if response.ok else parse_error(content["error"])
            except (ValueError, KeyError, TypeError, AttributeError):
                raise InvalidMessage("the server sent what is not a list of tracks") from None
        if error is not None:
            raise error
        return content

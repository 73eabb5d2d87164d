"""Loading of Socket.IO with its first client: the libraries take 6 MiB and time to import."""

from __future__ import annotations

import asyncio
import importlib
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from .gateway import Endpoint


class LazySocketIO:
    """The Socket.IO endpoint of one application, imported with its first request."""

    def __init__(self, app: web.Application) -> None:
        self._app = app
        self._endpoint: Endpoint | None = None
        self._loading = asyncio.Lock()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one request of a client."""
        endpoint = self._endpoint or await self._load()
        return await endpoint.handle(request)

    async def stop(self, _: web.Application) -> None:
        """Stop the endpoint at shutdown, if it was loaded."""
        if self._endpoint is not None:
            await self._endpoint.stop()

    async def _load(self) -> Endpoint:
        async with self._loading:
            if self._endpoint is None:
                name = f"{__package__}.gateway"
                module = await asyncio.to_thread(importlib.import_module, name)
                self._endpoint = module.Endpoint(self._app)
            return self._endpoint

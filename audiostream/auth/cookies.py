"""The session cookie: its name, one for each server that a browser may know under one host.

Here: the name, where the cookie counts, reading it. Not here: its value (``tokens``), the route
that sets it (``rest``).

A browser sends the cookies of a host to all of its ports, and keeps one of each name (RFC 6265
§8.5). So the name has the port that the browser sees; and for servers behind one port, each with a
path of its own, a tag that differs where their secrets or their prefixes do.
"""

from __future__ import annotations

import re
from functools import cached_property

from aiohttp import web

from ..ops.proxies import client_of
from .access_tokens import Tokens

_PORT = re.compile(r":([0-9]{1,5})\Z")


class SessionCookie:
    """The session cookie of one application."""

    def __init__(self, app: web.Application, tokens: Tokens) -> None:
        self._app = app
        self._tokens = tokens

    @cached_property
    def path(self) -> str:
        """Below which path it counts. Known only once the application is mounted."""
        return self._app.router["index"].url_for().raw_path

    @cached_property
    def _prefix(self) -> str:
        return f"audiostream_session_{self._tokens.session_tag(self.path)}_"

    def name(self, host: str, *, is_tls: bool) -> str:
        """Its name for a browser that knows the server by a Host field."""
        port = _PORT.search(host)
        return self._prefix + (port[1] if port else "443" if is_tls else "80")

    def name_for(self, request: web.BaseRequest) -> str:
        """Its name for the browser that asks."""
        client = client_of(request)
        return self.name(client.host, is_tls=client.is_tls)

    def read(self, request: web.BaseRequest) -> str | None:
        """Its value, None where the browser has none."""
        return request.cookies.get(self.name_for(request))

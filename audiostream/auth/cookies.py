"""The session cookie's name: one for each server that a browser may know under one host.

A browser sends the cookies of a host to all of its ports, and keeps one of each name (RFC 6265
§8.5). So the name has the port that the browser connects to; and for several servers behind one
port, a tag of the secret and the path prefix.
"""

from __future__ import annotations

import re
from functools import cached_property

from aiohttp import web

from ..ops.proxies import client_of
from .tickets import TicketSigner

_PORT = re.compile(r":([0-9]{1,5})\Z")


class SessionCookie:
    """The session cookie of one application; ``tickets`` signs its values."""

    def __init__(self, app: web.Application, tickets: TicketSigner) -> None:
        self._app = app
        self._tickets = tickets

    @cached_property
    def path(self) -> str:
        """The cookie's ``Path``: the prefix of the application, known once it is mounted."""
        return self._app.router["index"].url_for().raw_path

    @cached_property
    def _prefix(self) -> str:
        return f"audiostream_session_{self._tickets.session_tag(self.path)}_"

    def name(self, host: str, *, is_tls: bool) -> str:
        """Return its name for a browser that sends this Host header."""
        port = _PORT.search(host)
        return self._prefix + (port[1] if port else "443" if is_tls else "80")

    def name_for(self, request: web.BaseRequest) -> str:
        """Return its name for the browser that sent a request."""
        client = client_of(request)
        return self.name(client.host, is_tls=client.is_tls)

    def read(self, request: web.BaseRequest) -> str | None:
        """Return its value, None where the request has none."""
        return request.cookies.get(self.name_for(request))

    def set(self, response: web.Response, request: web.Request, value: str, max_age: int) -> None:
        """Have the browser keep ``value`` for ``max_age`` seconds."""
        response.set_cookie(
            self.name_for(request),
            value,
            max_age=max_age,
            path=self.path,
            secure=client_of(request).is_tls,
            httponly=True,
            samesite="Strict",
        )

    def delete(self, response: web.Response, request: web.Request) -> None:
        """Have the browser forget the cookie, which takes the attributes that it was set with."""
        response.del_cookie(
            self.name_for(request),
            path=self.path,
            secure=client_of(request).is_tls,
            httponly=True,
            samesite="Strict",
        )

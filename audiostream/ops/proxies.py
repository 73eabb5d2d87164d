"""The client behind reverse proxies: its address, scheme and host.

Read from ``X-Forwarded-For``, ``-Proto`` and ``-Host``, or where none of these came from
``Forwarded`` (RFC 7239), and only from proxies that the settings trust.

Each proxy appends to ``X-Forwarded-For`` the address that it was asked by, so the field is read
from the right::

    X-Forwarded-For: 203.0.113.9, 198.51.100.7, 10.0.0.2     from 10.0.0.1
                     written by   ▲ the client  ▲ trusted       ▲ trusted
                     the client

The first untrusted address is the client's; what is on its left the client wrote itself.
``-Proto`` and ``-Host`` are read at the same position from the right, and at their first value
where they have fewer. ``Forwarded`` counts only without the others: most proxies set the others
alone and pass on what a client writes in ``Forwarded``. Malformed values are ignored.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from itertools import chain
from typing import Final, TypeAlias

from aiohttp import web
from aiohttp.typedefs import Handler

UNIX: Final = "unix"
"""The address of all clients of a unix socket."""
UNKNOWN: Final = "unknown"
"""The address of a client that disconnected before the peer's address was read."""

Address: TypeAlias = IPv4Address | IPv6Address
HeaderGetter: TypeAlias = Callable[[str], str]
"""Returns a header by its lower-case name, repeated ones joined by commas."""

_IS_TLS = {"http": False, "ws": False, "https": True, "wss": True}
# An address in brackets, or one of version 4, each perhaps with a port (RFC 7239 §6).
_WITH_PORT = re.compile(r"\[([^\[\]]*)\](?::[\w.-]+)?|([0-9.]+):[\w.-]+")
_HOST = re.compile(
    r"(?:[\w.~%!$&'()*+=-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?", re.ASCII
)
_PAIR = re.compile(r"[ \t]*([\w!#$%&'*+.^`|~-]+)=(?:\"([^\"\\]*)\"|([^\"\s;,]*))[ \t]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Client:
    """Who sent a request: ``address`` without a port, ``host`` as in its Host header."""

    address: str
    is_tls: bool
    host: str


@dataclass(frozen=True, slots=True)
class _Hop:
    """What one proxy says of whoever asked it; None where it says nothing valid."""

    address: Address | None = None
    is_tls: bool | None = None
    host: str | None = None


class Proxies:
    """The trusted proxies: addresses and networks, and ``"unix"``."""

    def __init__(self, trusted: tuple[str, ...]) -> None:
        self._networks = tuple(ip_network(text) for text in trusted if text != UNIX)
        self._trusts_unix = UNIX in trusted

    def client(self, peer: str | None, is_tls: bool, host: str, header: HeaderGetter) -> Client:
        """Return the client of a connection with ``peer``: an IP address, or a unix socket's name.

        ``is_tls`` and ``host`` are those of the request itself. Never raises.
        """
        address = None if peer is None else _parse_address(peer)
        found = Client(_name(peer, address), is_tls, host)
        if not self.trusts(peer):
            return found
        for hop in _hops(header):
            found = Client(
                found.address if hop.address is None else str(hop.address),
                found.is_tls if hop.is_tls is None else hop.is_tls,
                found.host if hop.host is None else hop.host,
            )
            if hop.address is None or not self._trusts(hop.address):
                break
        return found

    def trusts(self, peer: str | None) -> bool:
        """Return whether a connection's ``peer``, as for ``client``, is a trusted proxy."""
        address = None if peer is None else _parse_address(peer)
        return self._trusts(address) if address else self._trusts_unix and peer is not None

    @web.middleware
    def identify_client(
        self, request: web.Request, handler: Handler
    ) -> Awaitable[web.StreamResponse]:
        """Store for ``client_of`` whom a trusted proxy asks for.

        Not a coroutine, which would take 250 bytes more for as long as a WebSocket is open; and
        what is stored takes 300.
        """
        if self.trusts(request.remote):
            request[_CLIENT] = self.client(
                request.remote, request.secure, request.host, partial(_joined_header, request)
            )
        return handler(request)

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self._networks)


_CLIENT = web.RequestKey("audiostream_client", Client)
_NO_PROXIES = Proxies(())


def client_of(request: web.BaseRequest) -> Client:
    """Return the client of a request: the connection's peer, unless that is a trusted proxy."""
    identified: Client | None = request.get(_CLIENT)
    if identified is not None:
        return identified
    return _NO_PROXIES.client(request.remote, request.secure, request.host, lambda _: "")


def _joined_header(request: web.BaseRequest, name: str) -> str:
    return ",".join(request.headers.getall(name, ()))


def _name(peer: str | None, address: Address | None) -> str:
    if peer is None:
        return UNKNOWN
    return UNIX if address is None else str(address)


def _hops(header: HeaderGetter) -> Iterator[_Hop]:
    """Yield what the proxies say, the nearest first; lazily, as a client can write many hops."""
    addresses, schemes, hosts = (
        [value.strip(" \t") for value in reversed(header(f"x-forwarded-{name}").split(","))]
        for name in ("for", "proto", "host")
    )
    if any(chain(addresses, schemes, hosts)):
        for index, address in enumerate(addresses):
            scheme = schemes[min(index, len(schemes) - 1)]
            host = hosts[min(index, len(hosts) - 1)]
            yield _Hop(_parse_address(address), _is_tls(scheme), _parse_host(host))
        return
    for text in reversed(header("forwarded").split(",")):
        yield _parse_forwarded(text)


def _parse_forwarded(text: str) -> _Hop:
    """Parse one element of ``Forwarded``; no value that is read may contain a comma."""
    values: dict[str, str] = {}
    for pair in text.split(";"):
        found = _PAIR.fullmatch(pair)
        if found is None or found[1].lower() in values:
            return _Hop()
        values[found[1].lower()] = found[2] if found[3] is None else found[3]
    address = _parse_address(values.get("for", ""))
    return _Hop(address, _is_tls(values.get("proto", "")), _parse_host(values.get("host", "")))


def _is_tls(scheme: str) -> bool | None:
    return _IS_TLS.get(scheme.lower())


def _parse_host(text: str) -> str | None:
    return text if _HOST.fullmatch(text) else None


@lru_cache(maxsize=1024)
def _parse_address(text: str) -> Address | None:
    """Return an IP address, None where it is none; an IPv4-mapped one of IPv6 as IPv4."""
    found = _WITH_PORT.fullmatch(text)
    try:
        address = ip_address((found[1] or found[2]) if found else text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address

"""Who asks, where a proxy asks for others: the client's address, its scheme, the host it named.

Here: which proxies are believed, and what their fields say: ``X-Forwarded-For``, ``-Proto`` and
``-Host``, or where none of these came ``Forwarded`` (RFC 7239). Not here: which proxies are
trusted (``settings``), what the answers are used for.

Each proxy adds at the right of ``X-Forwarded-For`` whom it was asked by. So it is read from there::

    X-Forwarded-For: 203.0.113.9, 198.51.100.7, 10.0.0.2     from 10.0.0.1
                         anybody   ▲ the client  ▲ trusted       ▲ trusted
                      wrote that

The first address that no trusted proxy has is the client's; what is on its left it wrote itself.
``-Proto`` and ``-Host`` are read at the same place, counted from the right, and where they have
fewer values at their first. ``Forwarded`` counts only without the others: most proxies set those
alone, and pass on what a client says in it. What cannot be understood is not believed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
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
"""The address of a client that left before the system was asked for it."""

Address: TypeAlias = IPv4Address | IPv6Address
Field: TypeAlias = Callable[[str], str]
"""Answers a request's field by its name in lower case, repeated ones joined by commas."""

_IS_TLS = {"http": False, "ws": False, "https": True, "wss": True}
# An address in brackets, or one of version 4, each perhaps with a port (RFC 7239 §6).
_WITH_PORT = re.compile(r"\[([^\[\]]*)\](?::[\w.-]+)?|([0-9.]+):[\w.-]+")
_HOST = re.compile(
    r"(?:[\w.~%!$&'()*+=-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?", re.ASCII
)
_PAIR = re.compile(r"[ \t]*([\w!#$%&'*+.^`|~-]+)=(?:\"([^\"\\]*)\"|([^\"\s;,]*))[ \t]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks: ``address`` without a port, and the ``host`` as its Host field had it."""

    address: str
    is_tls: bool
    host: str


@dataclass(frozen=True, slots=True)
class _Hop:
    """What one proxy says of whom it was asked by; None where it says nothing that is valid."""

    address: Address | None = None
    is_tls: bool | None = None
    host: str | None = None


class Proxies:
    """The proxies that are believed: addresses and networks, and ``"unix"``."""

    def __init__(self, trusted: tuple[str, ...]) -> None:
        self._networks = tuple(ip_network(text) for text in trusted if text != UNIX)
        self._trusts_unix = UNIX in trusted

    def client(self, peer: str | None, is_tls: bool, host: str, field: Field) -> Client:
        """Who asks over a connection with ``peer``: an IP address, or what a unix socket has.

        ``is_tls`` and ``host`` are of the request as it came. Never raises.
        """
        address = None if peer is None else _address(peer)
        found = Client(_name(peer, address), is_tls, host)
        if not (self._trusts(address) if address else self._trusts_unix and peer is not None):
            return found
        for hop in _hops(field):
            found = Client(
                found.address if hop.address is None else str(hop.address),
                found.is_tls if hop.is_tls is None else hop.is_tls,
                found.host if hop.host is None else hop.host,
            )
            if hop.address is None or not self._trusts(hop.address):
                break
        return found

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self._networks)


PROXIES = web.AppKey("audiostream_proxies", Proxies)
_CLIENT = web.RequestKey("audiostream_client", Client)


@web.middleware
async def note_client(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Find out who asks, for all that ask ``client_of``."""
    request[_CLIENT] = request.app[PROXIES].client(
        request.remote, request.secure, request.host, partial(_joined, request)
    )
    return await handler(request)


def client_of(request: web.BaseRequest) -> Client:
    """Who asks. What no application has seen, as it is no request, is its connection's."""
    noted: Client | None = request.get(_CLIENT)
    if noted is not None:
        return noted
    return Proxies(()).client(request.remote, request.secure, request.host, lambda _: "")


def _joined(request: web.BaseRequest, name: str) -> str:
    return ",".join(request.headers.getall(name, ()))


def _name(peer: str | None, address: Address | None) -> str:
    if peer is None:
        return UNKNOWN
    return UNIX if address is None else str(address)


def _hops(field: Field) -> Iterator[_Hop]:
    """What the proxies say, the nearest first. Few are looked at, and anybody can write many."""
    addresses, schemes, hosts = (
        [value.strip(" \t") for value in reversed(field(f"x-forwarded-{name}").split(","))]
        for name in ("for", "proto", "host")
    )
    if any(chain(addresses, schemes, hosts)):
        for place, address in enumerate(addresses):
            yield _Hop(_address(address), _scheme(_at(schemes, place)), _host(_at(hosts, place)))
        return
    for text in reversed(field("forwarded").split(",")):
        yield _element(text)


def _at(values: list[str], place: int) -> str:
    return values[min(place, len(values) - 1)]


def _element(text: str) -> _Hop:
    """One element of ``Forwarded``. No value that is looked at may have a comma in it."""
    values: dict[str, str] = {}
    for pair in text.split(";"):
        found = _PAIR.fullmatch(pair)
        if found is None or found[1].lower() in values:
            return _Hop()
        values[found[1].lower()] = found[2] if found[3] is None else found[3]
    address = _address(values.get("for", ""))
    return _Hop(address, _scheme(values.get("proto", "")), _host(values.get("host", "")))


def _scheme(text: str) -> bool | None:
    return _IS_TLS.get(text.lower())


def _host(text: str) -> str | None:
    return text if _HOST.fullmatch(text) else None


@lru_cache(maxsize=1024)
def _address(text: str) -> Address | None:
    """An IP address, None where it is none. One of version 4 is that in version 6's clothes too."""
    found = _WITH_PORT.fullmatch(text)
    try:
        address = ip_address((found[1] or found[2]) if found else text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address

"""The sockets that the server listens at: TCP on one port, and unix sockets.

Here: making all of them or none, what is said where one cannot be had, and how they are shown. Not
here: which ones (``settings``), and what comes over them.

``::`` means all addresses of IPv6 and of IPv4. It is two sockets, as clients of one that is for
both would have IPv4 addresses written in another way. What the system does not have is left out,
as long as something is left of a host.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

from ..errors import SettingsError
from ..settings import UNIX

BACKLOG: Final = 128
"""Connections that may wait to be accepted."""
SOCKET_MODE: Final = 0o660
"""Of a unix socket: for the server's user and group. A proxy has to be in that group."""
ATTEMPTS: Final = 20
"""How many free ports are tried, where one is needed that is free at several addresses."""
KEEP_ALIVE: Final = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}
"""Seconds of silence before the first question, seconds between two, unanswered ones at the end.

A peer that vanished is found in two minutes; by the kernel's own values it would take over two
hours. A minute is less than what home routers remember a silent connection for, so that a paused
player keeps its own, and more than enough for a phone to sleep.
"""
LOOK_TIMEOUT: Final = 1.0
"""Seconds that a server at a unix socket has to take a connection, before it counts as alive."""

_ANY = {socket.AF_INET: "0.0.0.0", socket.AF_INET6: "::"}  # noqa: S104 - to be recognized
_IS_MISSING = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})


@dataclass(frozen=True, slots=True)
class Address:
    """Where a TCP socket listens."""

    family: socket.AddressFamily
    host: str
    scope: int = 0

    @property
    def is_any(self) -> bool:
        """Whether it is all addresses of its family."""
        return self.host == _ANY[self.family]

    def with_port(self, port: int) -> tuple[Any, ...]:
        """As ``bind`` wants it."""
        is_v6 = self.family is socket.AF_INET6
        return (self.host, port, 0, self.scope) if is_v6 else (self.host, port)


@dataclass(frozen=True, slots=True)
class ListeningSockets:
    """Sockets that listen."""

    tcp: tuple[socket.socket, ...] = ()
    unix: tuple[socket.socket, ...] = ()

    def shown(self) -> str:
        """Where, as a person can open it."""
        named = [(each.family, *each.getsockname()[:2]) for each in self.tcp]
        everywhere = [(family, port) for family, host, port in named if host == _ANY[family]]
        places = []
        if everywhere:
            names = {socket.AF_INET: "IPv4", socket.AF_INET6: "IPv6"}
            versions = " and ".join(sorted(names[family] for family, _ in everywhere))
            places.append(f"http://localhost:{everywhere[0][1]} (all {versions} addresses)")
        places += [
            f"http://{_in_url(host)}:{port}" for family, host, port in named if host != _ANY[family]
        ]
        return ", ".join([*places, *(f"{UNIX}{each.getsockname()}" for each in self.unix)])


@contextmanager
def listen(hosts: Sequence[str], port: int) -> Iterator[ListeningSockets]:
    """Sockets that listen at all ``hosts``, closed and their files removed at the end. Blocks.

    A host is a name or an address, for which ``port`` counts, or ``unix:`` with a path. Raises
    ``SettingsError`` with what to do, and leaves nothing behind.
    """
    with ExitStack() as stack:
        unix = [
            os.path.expanduser(host.removeprefix(UNIX)) for host in hosts if host.startswith(UNIX)
        ]
        groups = [_resolved(host, port) for host in hosts if not host.startswith(UNIX)]
        tcp = _listen_tcp(_without_covered(groups), port)
        for each in tcp:
            stack.callback(each.close)
        yield ListeningSockets(
            tuple(tcp),
            tuple(stack.enter_context(_unix_socket(path)) for path in dict.fromkeys(unix)),
        )


def _resolved(host: str, port: int) -> list[Address]:
    """The addresses of a host; of all of IPv6, those of IPv4 too."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:  # a name that the encoding of names rules out
        raise SettingsError(_why_not(_shown(host, port), error)) from None
    addresses = [
        Address(family, str(address[0]), int(address[3]) if len(address) == 4 else 0)
        for family, *_, address in found
        if family in _ANY
    ]
    if any(each.is_any for each in addresses):
        addresses += [
            Address(socket.AF_INET, _ANY[socket.AF_INET])
            for each in addresses
            if each.family is socket.AF_INET6
        ]
    return list(dict.fromkeys(addresses))


def _without_covered(groups: Iterable[list[Address]]) -> list[list[Address]]:
    """Each address once, and none that all addresses of its family include."""
    groups = list(groups)
    everywhere = {address.family for group in groups for address in group if address.is_any}
    seen: set[Address] = set()
    kept = []
    for group in groups:
        left = [a for a in group if a not in seen and (a.is_any or a.family not in everywhere)]
        seen.update(left)
        if left:
            kept.append(left)
    return kept


def _listen_tcp(
    groups: list[list[Address]], port: int, attempts: int = ATTEMPTS
) -> list[socket.socket]:
    """Sockets at all addresses, on one port: where ``port`` is 0, on one that is free at all."""
    opened: list[socket.socket] = []
    try:
        for group in groups:
            _open_group(group, opened, port)
    except _Failed as failed:
        for each in opened:
            each.close()
        is_taken = failed.error.errno == errno.EADDRINUSE
        if not port and opened and is_taken and attempts > 1:
            return _listen_tcp(groups, port, attempts - 1)
        shown = _shown(failed.address.host, port)
        raise SettingsError(_why_not(shown, failed.error)) from None
    return opened


class _Failed(Exception):
    def __init__(self, address: Address, error: OSError) -> None:
        super().__init__()
        self.address = address
        self.error = error


def _open_group(group: list[Address], opened: list[socket.socket], port: int) -> None:
    """Listen at the addresses of one host, some of which the system may not have."""
    failed = None
    before = len(opened)
    for address in group:
        chosen = port or (opened[0].getsockname()[1] if opened else 0)
        try:
            opened.append(_tcp_socket(address, chosen))
        except OSError as error:
            failed = _Failed(address, error)
            if error.errno not in _IS_MISSING:
                raise failed from None
    if failed is not None and len(opened) == before:
        raise failed


def _tcp_socket(address: Address, port: int) -> socket.socket:
    opened = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":  # elsewhere it lets two servers listen at one port
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if address.family is socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind(address.with_port(port))
        _look_for_dead_peers(opened)
        opened.listen(BACKLOG)
    except OSError:
        opened.close()
        raise
    return opened


def _look_for_dead_peers(listener: socket.socket) -> None:
    """Have the kernel ask those who say nothing whether they live; connections inherit it."""
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEP_ALIVE.items():
        with suppress(AttributeError, OSError):  # not every system has all of them
            listener.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


@contextmanager
def _unix_socket(path: str) -> Iterator[socket.socket]:
    if not hasattr(socket, "AF_UNIX"):
        raise SettingsError(f"cannot listen at {UNIX}{path}: this system has no unix sockets.")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as opened:
        try:
            _make_way(path)
            opened.bind(path)
            os.chmod(path, SOCKET_MODE)  # nobody can connect before ``listen``
            opened.listen(BACKLOG)
            ours = os.lstat(path)
        except OSError as error:
            raise SettingsError(_why_not(f"{UNIX}{path}", error)) from None
        try:
            yield opened
        finally:
            with suppress(OSError):
                if os.path.samestat(os.lstat(path), ours):  # and not another server's by now
                    os.unlink(path)


def _make_way(path: str) -> None:
    """Remove the socket that a server has left behind which was killed.

    Raises ``SettingsError`` where one listens there, or something else has that name, and
    ``OSError``.
    """
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise SettingsError(f"{path} is there, and is no socket. Name another path, or remove it.")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as visitor:
        visitor.settimeout(LOOK_TIMEOUT)
        try:
            visitor.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            with suppress(FileNotFoundError):
                os.unlink(path)
            return
        except PermissionError:
            raise
        except OSError:  # its queue is full, or it wants other connections: it is alive
            pass
    raise SettingsError(f"{UNIX}{path} is in use. Stop what listens there, or name another path.")


def _why_not(address: str, error: Exception) -> str:
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.EADDRINUSE:
        return f"{address} is in use. Stop what listens there, or name another --port."
    if number == errno.EACCES and not address.startswith(UNIX):
        return f"{address} may not be used by this user. Name a --port above 1023."
    why = error.strerror if isinstance(error, OSError) and error.strerror else error
    return f"cannot listen at {address}: {why}."


def _shown(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _in_url(host: str) -> str:
    """A host as a URL has it: version 6 in brackets, and its zone escaped (RFC 6874)."""
    return f"[{host.replace('%', '%25')}]" if ":" in host else host

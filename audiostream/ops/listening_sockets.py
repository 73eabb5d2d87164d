"""The listening sockets: TCP sockets on one port, and unix sockets.

``::`` stands for all addresses of IPv6 and IPv4 and opens two sockets: a dual-stack socket would
report the addresses of IPv4 clients as ``::ffff:…``. An address family that the system lacks is
skipped as long as the host has another one.
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
from ..setting_parsers import UNIX

BACKLOG: Final = 128
"""Connections that may wait to be accepted."""
UNIX_SOCKET_MODE: Final = 0o660
"""For the server's user and group: a proxy has to be in that group."""
MAX_PORT_ATTEMPTS: Final = 20
"""Free ports that are tried for port 0, where one has to be free at several addresses."""
TCP_KEEPALIVE: Final = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}
"""Seconds before the first probe, seconds between two, and unanswered probes before the end.

A peer that vanished is detected in two minutes; with the kernel's defaults it would take over two
hours. Home routers drop an idle connection after more than a minute, so the probes keep that of a
paused player open.
"""
PROBE_TIMEOUT: Final = 1.0
"""Seconds that a unix socket has to accept a connection before it counts as in use."""

_WILDCARD = {socket.AF_INET: "0.0.0.0", socket.AF_INET6: "::"}  # noqa: S104 - compared with
_MISSING_FAMILY = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})


@dataclass(frozen=True, slots=True)
class Address:
    """An address for a TCP socket; ``scope`` is the interface of a link-local one."""

    family: socket.AddressFamily
    host: str
    scope: int = 0

    @property
    def is_wildcard(self) -> bool:
        """Whether it stands for all addresses of its family."""
        return self.host == _WILDCARD[self.family]

    def with_port(self, port: int) -> tuple[Any, ...]:
        """Return the form that ``bind`` takes."""
        is_v6 = self.family is socket.AF_INET6
        return (self.host, port, 0, self.scope) if is_v6 else (self.host, port)


@dataclass(frozen=True, slots=True)
class ListeningSockets:
    """Sockets that listen."""

    tcp: tuple[socket.socket, ...] = ()
    unix: tuple[socket.socket, ...] = ()

    def describe(self) -> str:
        """Return the URLs and paths, for the log."""
        bound = [(each.family, *each.getsockname()[:2]) for each in self.tcp]
        wildcards = [(family, port) for family, host, port in bound if host == _WILDCARD[family]]
        urls = []
        if wildcards:
            names = {socket.AF_INET: "IPv4", socket.AF_INET6: "IPv6"}
            versions = " and ".join(sorted(names[family] for family, _ in wildcards))
            urls.append(f"http://localhost:{wildcards[0][1]} (all {versions} addresses)")
        urls += [
            f"http://{_url_host(host)}:{port}"
            for family, host, port in bound
            if host != _WILDCARD[family]
        ]
        return ", ".join([*urls, *(f"{UNIX}{each.getsockname()}" for each in self.unix)])


@contextmanager
def listen(hosts: Sequence[str], port: int, option: str = "--port") -> Iterator[ListeningSockets]:
    """Open sockets at all ``hosts``; close them and remove their files at exit. Blocks.

    A host is a name or an address, to which ``port`` applies, or ``unix:`` and a path. Raises
    ``SettingsError``, which says what to do, and then leaves no socket open; ``option`` is
    what sets the port.
    """
    with ExitStack() as stack:
        paths = [
            os.path.expanduser(host.removeprefix(UNIX)) for host in hosts if host.startswith(UNIX)
        ]
        groups = [_resolve(host, port) for host in hosts if not host.startswith(UNIX)]
        tcp = _open_tcp_sockets(_drop_covered(groups), port, option)
        for each in tcp:
            stack.callback(each.close)
        yield ListeningSockets(
            tuple(tcp),
            tuple(stack.enter_context(_unix_socket(path)) for path in dict.fromkeys(paths)),
        )


def _resolve(host: str, port: int) -> list[Address]:
    """Return the addresses of a host; for ``::`` the wildcard of IPv4 too."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:  # IDNA refuses some names with UnicodeError
        raise SettingsError(_advice(_host_and_port(host, port), error)) from None
    addresses = [
        Address(family, str(address[0]), int(address[3]) if len(address) == 4 else 0)
        for family, *_, address in found
        if family in _WILDCARD
    ]
    if any(each.is_wildcard and each.family is socket.AF_INET6 for each in addresses):
        addresses.append(Address(socket.AF_INET, _WILDCARD[socket.AF_INET]))
    return list(dict.fromkeys(addresses))


def _drop_covered(groups: Iterable[list[Address]]) -> list[list[Address]]:
    """Drop duplicates, and addresses that a wildcard of their family covers."""
    groups = list(groups)
    covered = {address.family for group in groups for address in group if address.is_wildcard}
    seen: set[Address] = set()
    kept = []
    for group in groups:
        left = [a for a in group if a not in seen and (a.is_wildcard or a.family not in covered)]
        seen.update(left)
        if left:
            kept.append(left)
    return kept


def _open_tcp_sockets(
    groups: list[list[Address]], port: int, option: str, attempts: int = MAX_PORT_ATTEMPTS
) -> list[socket.socket]:
    """Listen at all addresses on one port; for port 0 on one that is free at all of them."""
    opened: list[socket.socket] = []
    try:
        for group in groups:
            _open_group(group, opened, port)
    except _BindError as failed:
        for each in opened:
            each.close()
        is_taken = failed.error.errno == errno.EADDRINUSE
        if not port and opened and is_taken and attempts > 1:
            return _open_tcp_sockets(groups, port, option, attempts - 1)
        shown = _host_and_port(failed.address.host, port)
        raise SettingsError(_advice(shown, failed.error, option)) from None
    return opened


class _BindError(Exception):
    def __init__(self, address: Address, error: OSError) -> None:
        super().__init__()
        self.address = address
        self.error = error


def _open_group(group: list[Address], opened: list[socket.socket], port: int) -> None:
    """Listen at the addresses of one host; raise ``_BindError`` if none of them exists here."""
    failed = None
    before = len(opened)
    for address in group:
        chosen = port or (opened[0].getsockname()[1] if opened else 0)
        try:
            opened.append(_tcp_socket(address, chosen))
        except OSError as error:
            failed = _BindError(address, error)
            if error.errno not in _MISSING_FAMILY:
                raise failed from None
    if failed is not None and len(opened) == before:
        raise failed


def _tcp_socket(address: Address, port: int) -> socket.socket:
    opened = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if address.family is socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind(address.with_port(port))
        _enable_keepalive(opened)
        opened.listen(BACKLOG)
    except OSError:
        opened.close()
        raise
    return opened


def _enable_keepalive(listener: socket.socket) -> None:
    """Turn TCP keep-alive on; accepted connections inherit it."""
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in TCP_KEEPALIVE.items():
        with suppress(AttributeError, OSError):  # macOS lacks TCP_KEEPIDLE
            listener.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


@contextmanager
def _unix_socket(path: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as opened:
        try:
            _remove_stale_socket(path)
            opened.bind(path)
            os.chmod(path, UNIX_SOCKET_MODE)  # nobody can connect before ``listen``
            opened.listen(BACKLOG)
            ours = os.lstat(path)
        except OSError as error:
            raise SettingsError(_advice(f"{UNIX}{path}", error)) from None
        try:
            yield opened
        finally:
            with suppress(OSError):
                if os.path.samestat(os.lstat(path), ours):  # not the socket of a newer server
                    os.unlink(path)


def _remove_stale_socket(path: str) -> None:
    """Remove the socket file of a server that was killed.

    Raises ``SettingsError`` where a server listens there or the file is no socket, and ``OSError``.
    """
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise SettingsError(f"{path} is there, and is no socket. Name another path, or remove it.")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(PROBE_TIMEOUT)
        try:
            probe.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            with suppress(FileNotFoundError):
                os.unlink(path)
            return
        except PermissionError:
            raise
        except OSError:  # a full backlog, or a socket of another type: in use
            pass
    raise SettingsError(f"{UNIX}{path} is in use. Stop what listens there, or name another path.")


def _advice(address: str, error: Exception, option: str = "--port") -> str:
    """Return what failed and what to do about it."""
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.EADDRINUSE:
        return f"{address} is in use. Stop what listens there, or name another {option}."
    if number == errno.EACCES and not address.startswith(UNIX):
        return f"{address} may not be used by this user. Name a {option} above 1023."
    reason = error.strerror if isinstance(error, OSError) and error.strerror else error
    return f"cannot listen at {address}: {reason}."


def _host_and_port(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _url_host(host: str) -> str:
    """Return a host as a URL spells it: IPv6 in brackets, its zone percent-encoded (RFC 6874)."""
    return f"[{host.replace('%', '%25')}]" if ":" in host else host

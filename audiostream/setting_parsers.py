"""Parsers of settings: each takes a variable's name and text, and raises ``SettingsError``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import IPv6Address, IPv6Network, ip_network
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from .errors import SettingsError

UNIX: Final = "unix:"
"""The beginning of a host that is a unix socket; its path follows."""


# Segments that nginx and RFC 3986 take literally, none of which begins with a dot.
_LOCATION: Final = re.compile(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9_.~-]*)+/", re.ASCII)


def parse_text(variable: str, text: str) -> str:
    return text


def parse_path(variable: str, text: str) -> Path:
    return Path(text).expanduser()


def parse_state_file(variable: str, text: str) -> Path | None:
    """Return None for ``:memory:``."""
    return None if text == ":memory:" else Path(text).expanduser()


def default_state_file(environ: Mapping[str, str]) -> Path:
    """Return a file in the user's state directory (systemd, XDG Base Directory)."""
    if "STATE_DIRECTORY" in environ:
        return Path(environ["STATE_DIRECTORY"].partition(":")[0]) / "state.sqlite3"
    user_home = Path(environ.get("HOME", "~")).expanduser()
    home = environ.get("XDG_STATE_HOME") or user_home / ".local/state"
    return Path(home) / "audiostream" / "state.sqlite3"


def parse_limit(variable: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and int(text) > 0):
        raise SettingsError(f"{variable} must be a whole number above 0, not {text!r}.")
    return int(text)


def parse_count(variable: str, text: str) -> int:
    """Return a number that may be 0."""
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise SettingsError(f"{variable} must be a whole number, 0 or more, not {text!r}.")
    return int(text)


def parse_switch(variable: str, text: str) -> bool:
    if text.lower() in {"1", "true", "yes", "on"}:
        return True
    if text.lower() in {"0", "false", "no", "off"}:
        return False
    raise SettingsError(f"{variable} must be 1 or 0, not {text.lower()!r}.")


def parse_port(variable: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5):
        raise SettingsError(f"the port must be a number between 0 and 65535, not {text!r}.")
    return int(text)


def parse_seconds(variable: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise SettingsError(f"{variable} must be a number of seconds, not {text!r}.") from None


def parse_stream_auth(variable: str, text: str) -> bool:
    """Return whether streams are public."""
    if text not in {"required", "public"}:
        raise SettingsError(f"{variable} must be 'required' or 'public', not {text!r}.")
    return text == "public"


def parse_redis_url(variable: str, text: str) -> str:
    """Return the address of a Redis. What the text has besides is not quoted: it may be secret."""
    parts = urlsplit(text)
    if parts.scheme == "unix":
        is_complete = bool(parts.path)
    else:
        is_complete = parts.scheme in {"redis", "rediss"} and bool(parts.hostname)
    if not is_complete:
        raise SettingsError(
            f"{variable} must be like redis://host:6379/0, rediss://host:6380/0 or unix:///path."
        )
    return text


def parse_location(variable: str, text: str) -> str:
    """Return the path of a location of nginx."""
    if not _LOCATION.fullmatch(text):
        raise SettingsError(
            f"{variable} must be a path like /protected/, not {text!r}: with a slash at both ends, "
            "of letters, digits and ._~- alone, and no name that begins with a dot."
        )
    return text


def parse_origins(variable: str, text: str) -> tuple[str, ...]:
    origins = tuple(part.strip().rstrip("/").lower() for part in text.split(",") if part.strip())
    for origin in origins:
        if origin != "*" and not _is_origin(origin):
            raise SettingsError(
                f"{variable}: {origin!r} is not an origin. "
                "Write scheme://host or scheme://host:port, comma-separated, or *."
            )
    return origins


def parse_proxies(variable: str, text: str) -> tuple[str, ...]:
    return tuple(_parse_network(variable, part.strip()) for part in text.split(",") if part.strip())


def parse_hosts(text: str) -> tuple[str, ...]:
    """Return the hosts to listen at; addresses of version 6 without brackets."""
    hosts = tuple(_without_brackets(part.strip()) for part in text.split(",") if part.strip())
    if not hosts:
        raise SettingsError("there is no --host to listen at. Name an address, like 127.0.0.1.")
    for host in hosts:
        _check_host(host)
    return hosts


def parse_host_and_port(variable: str, text: str) -> tuple[str, int]:
    """Return a host without brackets, and its port; of ``unix:/path`` the text, and 0."""
    if text.startswith(UNIX) and text != UNIX:
        return text, 0
    written, _, port = text.rpartition(":")
    host = _without_brackets(written)
    is_port = port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535
    is_host = bool(host) and (":" in host) == (host != written) and not set(host) & set("/ []")
    if not (is_host and is_port):
        raise SettingsError(
            f"{variable} must be like 127.0.0.1:9100, [::1]:9100 or unix:/path, not {text!r}."
        )
    return host, int(port)


def _without_brackets(host: str) -> str:
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def _check_host(host: str) -> None:
    if host.startswith(UNIX):
        if host == UNIX:
            raise SettingsError("--host unix: needs a path, like unix:/run/audiostream.sock.")
        return
    if "/" in host or " " in host:
        raise SettingsError(f"--host {host!r} is no address; a unix socket is unix:/its/path.")
    try:
        is_address = ":" not in host or bool(IPv6Address(host))
    except ValueError:
        is_address = False
    if not is_address:
        raise SettingsError(f"--host {host!r} is no address; the port is named by --port.")


def _parse_network(variable: str, text: str) -> str:
    """Return a network in its canonical form; of an IPv4-mapped one, that of IPv4."""
    if text.lower() == "unix":
        return "unix"
    try:
        network = ip_network(text)
    except ValueError as error:
        raise SettingsError(
            f"{variable}: {error}. "
            "Write addresses like 127.0.0.1 or networks like 10.0.0.0/8, comma-separated, or unix."
        ) from None
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    if mapped is not None and network.prefixlen >= 96:
        return f"{mapped}/{network.prefixlen - 96}"
    return str(network)


def _is_origin(text: str) -> bool:
    """Return whether this is a scheme, a host and perhaps a port, no more (RFC 6454 §6.2)."""
    try:
        parts = urlsplit(text)
        has_port_number = parts.port is None or parts.port > 0
    except ValueError:
        return False
    return (
        has_port_number
        and bool(parts.scheme and parts.hostname)
        and text == f"{parts.scheme}://{parts.netloc}"
        and "@" not in parts.netloc
    )

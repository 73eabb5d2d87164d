"""What an operator can set, checked once at start.

Here: one frozen ``Settings`` built from a mapping (the environment) and from overrides (the
command line). Not here: reading ``sys.argv`` or ``os.environ`` (``__main__`` does), and anything
that touches the network or the disk, except to see that the media folder is there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from ipaddress import IPv6Address, IPv6Network, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .errors import SettingsError

MIN_SECRET_BYTES = 32
"""HS256 wants a key at least as long as its hash output (RFC 7518 §3.2)."""

UNIX = "unix:"
"""What a host begins with that is a unix socket; its path is behind it."""

_CHECKOUT_MEDIA = Path(__file__).resolve().parent.parent / "sample_media"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client may ask for. Sizes in bytes, times in seconds, each at least 1."""

    max_frame: int = 16 * 1024
    max_auth_frame: int = 4 * 1024
    max_json_depth: int = 32
    max_body: int = 16 * 1024
    sockets_per_user: int = 10
    waiting_per_address: int = 100
    commands_per_second: int = 20
    reports_per_second: int = 50
    streams_per_user: int = 16
    header_timeout: int = 20
    body_timeout: int = 10
    stall_timeout: int = 900

    @classmethod
    def load(cls, given: Mapping[str, str]) -> Limits:
        """Each from its own variable: ``AUDIOSTREAM_MAX_FRAME`` and so on."""
        return cls(**{item.name: _limit(given, item.name, item.default) for item in fields(cls)})


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything ``create_app`` needs to know. Raises ``SettingsError`` on a bad value.

    ``host`` names one or more addresses, or ``unix:`` and a path, comma-separated; ``hosts`` has
    them apart. ``sync_tolerance`` is in seconds; 0 tells every report to the whole room.
    ``cors_origins`` holds origins as browsers send them, or ``"*"``. ``trusted_proxies`` holds
    addresses and networks, and ``"unix"`` for whoever comes by a unix socket. ``state`` is the file
    that keeps playback across restarts; None keeps nothing.
    """

    jwt_secret: str = field(repr=False)
    media: Path
    jwt_user_claim: str = "sub"
    jwt_audience: str | None = None
    jwt_issuer: str | None = None
    jwt_require_exp: bool = False
    allow_weak_secret: bool = False
    host: str = "0.0.0.0"  # noqa: S104 - other devices of the house are the point
    port: int = 3000
    public_streams: bool = False
    cors_origins: tuple[str, ...] = ()
    sync_tolerance: float = 1.0
    state: Path | None = None
    limits: Limits = Limits()
    json_log: bool = False
    access_log: bool = True
    fast_path: bool = True
    trusted_proxies: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.jwt_secret:
            raise SettingsError(
                "JWT_SECRET is not set. Make one with `python -m audiostream secret` "
                "and put it into the environment."
            )
        if self.has_weak_secret and not self.allow_weak_secret:
            raise SettingsError(
                f"JWT_SECRET is shorter than {MIN_SECRET_BYTES} bytes (RFC 7518 §3.2). "
                "Make one with `python -m audiostream secret`, or set "
                "AUDIOSTREAM_ALLOW_WEAK_SECRET=1 to accept the risk."
            )
        if not self.media.is_dir():
            raise SettingsError(
                f"the media folder {str(self.media)!r} is not a directory. "
                "Name one with --media DIR or AUDIOSTREAM_MEDIA."
            )
        if not self.hosts:
            raise SettingsError("there is no --host to listen at. Name an address, like 127.0.0.1.")
        for host in self.hosts:
            _check_host(host)
        if not 0 <= self.port <= 65535:
            raise SettingsError(f"the port must be between 0 and 65535, not {self.port}.")
        if not (math.isfinite(self.sync_tolerance) and 0 <= self.sync_tolerance <= 60):
            raise SettingsError("AUDIOSTREAM_SYNC_TOLERANCE must be between 0 and 60 seconds.")

    @property
    def hosts(self) -> tuple[str, ...]:
        """Where to listen; addresses of version 6 without brackets."""
        return tuple(_without_brackets(part) for part in self.host.split(",") if part.strip())

    @property
    def has_weak_secret(self) -> bool:
        return len(self.jwt_secret.encode()) < MIN_SECRET_BYTES

    @classmethod
    def load(
        cls, environ: Mapping[str, str], overrides: Mapping[str, str | None] | None = None
    ) -> Settings:
        """Build settings from environment-style ``environ``; ``overrides`` win where not None.

        Both use the environment's names. An empty value counts as not set.
        """
        wins = {name: text for name, text in (overrides or {}).items() if text is not None}
        given = {name: text.strip() for name, text in {**environ, **wins}.items() if text.strip()}
        return cls(
            jwt_secret=given.get("JWT_SECRET", ""),
            media=_media(given.get("AUDIOSTREAM_MEDIA")),
            jwt_user_claim=given.get("JWT_USER_CLAIM", "sub"),
            jwt_audience=given.get("JWT_AUDIENCE"),
            jwt_issuer=given.get("JWT_ISSUER"),
            jwt_require_exp=_switch(given, "JWT_REQUIRE_EXP"),
            allow_weak_secret=_switch(given, "AUDIOSTREAM_ALLOW_WEAK_SECRET"),
            host=given.get("AUDIOSTREAM_HOST", "0.0.0.0"),  # noqa: S104
            port=_port(given.get("AUDIOSTREAM_PORT", "3000")),
            public_streams=_public_streams(given.get("AUDIOSTREAM_STREAM_AUTH", "required")),
            cors_origins=_origins(given.get("CORS_ORIGINS", "")),
            sync_tolerance=_seconds(given, "AUDIOSTREAM_SYNC_TOLERANCE", 1.0),
            state=state_file(given),
            limits=Limits.load(given),
            json_log=_switch(given, "AUDIOSTREAM_LOG_JSON"),
            access_log=_switch(given, "AUDIOSTREAM_ACCESS_LOG", "1"),
            fast_path=_switch(given, "AUDIOSTREAM_FAST_PATH", "1"),
            trusted_proxies=_proxies(given.get("AUDIOSTREAM_TRUSTED_PROXIES", "")),
        )


def _without_brackets(host: str) -> str:
    host = host.strip()
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def _check_host(host: str) -> None:
    """Raises ``SettingsError`` for what cannot be a host."""
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


def _media(text: str | None) -> Path:
    if text is not None:
        return Path(text).expanduser()
    return _CHECKOUT_MEDIA if _CHECKOUT_MEDIA.is_dir() else Path("media")


def state_file(given: Mapping[str, str]) -> Path | None:
    """The state file: named, or in the user's state directory (XDG Base Directory, systemd).

    None where nothing is to be kept.
    """
    named = given.get("AUDIOSTREAM_STATE")
    if named is not None:
        return None if named == ":memory:" else Path(named).expanduser()
    if "STATE_DIRECTORY" in given:
        return Path(given["STATE_DIRECTORY"].partition(":")[0]) / "state.sqlite3"
    home = given.get("XDG_STATE_HOME") or Path(given.get("HOME", "~")).expanduser() / ".local/state"
    return Path(home) / "audiostream" / "state.sqlite3"


def _limit(given: Mapping[str, str], name: str, default: Any) -> int:
    variable = f"AUDIOSTREAM_{name.upper()}"
    text = given.get(variable, str(default))
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and int(text) > 0):
        raise SettingsError(f"{variable} must be a whole number above 0, not {text!r}.")
    return int(text)


def _switch(given: Mapping[str, str], name: str, default: str = "0") -> bool:
    text = given.get(name, default).lower()
    if text in {"1", "true", "yes", "on"}:
        return True
    if text in {"0", "false", "no", "off"}:
        return False
    raise SettingsError(f"{name} must be 1 or 0, not {text!r}.")


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5):
        raise SettingsError(f"the port must be a number between 0 and 65535, not {text!r}.")
    return int(text)


def _seconds(given: Mapping[str, str], name: str, default: float) -> float:
    try:
        return float(given.get(name, default))
    except ValueError:
        raise SettingsError(f"{name} must be a number of seconds, not {given[name]!r}.") from None


def _public_streams(text: str) -> bool:
    if text not in {"required", "public"}:
        raise SettingsError(
            f"AUDIOSTREAM_STREAM_AUTH must be 'required' or 'public', not {text!r}."
        )
    return text == "public"


def _origins(text: str) -> tuple[str, ...]:
    origins = tuple(part.strip().rstrip("/").lower() for part in text.split(",") if part.strip())
    for origin in origins:
        if origin != "*" and not _is_origin(origin):
            raise SettingsError(
                f"CORS_ORIGINS: {origin!r} is not an origin. "
                "Write scheme://host or scheme://host:port, comma-separated, or *."
            )
    return origins


def _proxies(text: str) -> tuple[str, ...]:
    return tuple(_network(part.strip()) for part in text.split(",") if part.strip())


def _network(text: str) -> str:
    """A network as it is compared with; of one address, that network of it alone."""
    if text.lower() == "unix":
        return "unix"
    try:
        network = ip_network(text)
    except ValueError as error:
        raise SettingsError(
            f"AUDIOSTREAM_TRUSTED_PROXIES: {error}. "
            "Write addresses like 127.0.0.1 or networks like 10.0.0.0/8, comma-separated, or unix."
        ) from None
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    if mapped is not None and network.prefixlen >= 96:
        return f"{mapped}/{network.prefixlen - 96}"
    return str(network)


def _is_origin(text: str) -> bool:
    """An origin is a scheme, a host and perhaps a port, nothing behind (RFC 6454 §6.2)."""
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

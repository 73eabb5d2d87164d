"""What an operator can set: one table of fields, variables, parsers, defaults and descriptions.

``Settings.load`` reads the environment by it; ``--help`` and the tables in the documents are made
from it. Nothing here touches the network, nor the disk except to see that the media folder exists.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, Final

from . import setting_parsers as parsers
from .errors import SettingsError
from .setting_fields import Setting
from .setting_fields import limit as _limit
from .setting_fields import setting as _setting

MIN_SECRET_BYTES: Final = 32
"""HS256 needs a key at least as long as its hash output (RFC 7518 §3.2)."""
MAX_HISTORY: Final = 10_000
"""Tracks that a history may have: it is read and sent whole where a client asks for all of it."""

_CHECKOUT_MEDIA = Path(__file__).resolve().parent.parent / "sample_media"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client may ask for. Sizes in bytes, times in seconds, each at least 1."""

    max_frame: int = _limit(64 * 1024, "AUDIOSTREAM_MAX_FRAME", " bytes", "close 1009")
    max_auth_frame: int = _limit(
        4 * 1024, "AUDIOSTREAM_MAX_AUTH_FRAME", " bytes, for the first frame", "close 1009"
    )
    max_json_depth: int = _limit(32, "AUDIOSTREAM_MAX_JSON_DEPTH", " levels", "`invalid_message`")
    max_body: int = _limit(64 * 1024, "AUDIOSTREAM_MAX_BODY", " bytes", "413")
    max_queue: int = _limit(
        1000,
        "AUDIOSTREAM_MAX_QUEUE",
        " tracks; more than 1600 need larger frames and bodies, too",
        "`invalid_message`",
    )
    sockets_per_user: int = _limit(10, "AUDIOSTREAM_SOCKETS_PER_USER", "", "close 4429")
    waiting_per_address: int = _limit(
        100,
        "AUDIOSTREAM_WAITING_PER_ADDRESS",
        " sockets that have not authenticated",
        "429",
    )
    commands_per_second: int = _limit(
        20,
        "AUDIOSTREAM_COMMANDS_PER_SECOND",
        " per device, and per user over REST (`current-state`, `history` and `positions` too), "
        "twice that at once",
        "`rate_limited`, 429",
    )
    reports_per_second: int = _limit(
        50, "AUDIOSTREAM_REPORTS_PER_SECOND", " per device, twice that at once", "`rate_limited`"
    )
    streams_per_user: int = _limit(
        16,
        "AUDIOSTREAM_STREAMS_PER_USER",
        " at once",
        "429, unless one of them has taken nothing for 5 s: that one is disconnected",
    )
    header_timeout: int = _limit(
        20,
        "AUDIOSTREAM_HEADER_TIMEOUT",
        " s for a request's headers, and from one answer to the next request",
        "the connection is closed",
    )
    body_timeout: int = _limit(10, "AUDIOSTREAM_BODY_TIMEOUT", " s", "408")
    stall_timeout: int = _limit(
        900,
        "AUDIOSTREAM_STALL_TIMEOUT",
        " s in which a stream's reader takes no byte (Linux); pages, lists and pictures wait for "
        "60 s at most",
        "the client is disconnected",
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything ``create_app`` needs to know. Raises ``SettingsError`` on a bad value.

    ``host`` names one or more addresses, or ``unix:`` and a path, comma-separated; ``hosts`` has
    them apart. ``sync_tolerance`` is in seconds; 0 broadcasts every report to the whole room.
    ``cors_origins`` holds origins as browsers send them, or ``"*"``. ``trusted_proxies`` holds
    addresses and networks, and ``"unix"`` for clients of a unix socket. ``state`` is the file that
    keeps playback across restarts; None keeps nothing. ``max_history`` is in tracks per user.
    ``metrics`` is an address with its port, or ``unix:`` and a path.
    """

    jwt_secret: str = _setting(
        MISSING,
        "JWT_SECRET",
        parsers.parse_text,
        "HS256 key of the access tokens, 32 bytes or more; "
        "`python -m audiostream secret` makes one",
        shown="required",
    )
    media: Path = _setting(  # noqa: RUF009
        MISSING,
        "AUDIOSTREAM_MEDIA",
        parsers.parse_path,
        "the media folder",
        shown="`sample_media` of the checkout, else `./media`",
    )
    jwt_user_claim: str = _setting(
        "sub",
        "JWT_USER_CLAIM",
        parsers.parse_text,
        "the claim that holds the user id: a string or an integer, 1 to 128 characters",
    )
    jwt_audience: str | None = _setting(
        None, "JWT_AUDIENCE", parsers.parse_text, "the `aud` that tokens must have, if set"
    )
    jwt_issuer: str | None = _setting(
        None, "JWT_ISSUER", parsers.parse_text, "the `iss` that tokens must have, if set"
    )
    jwt_require_exp: bool = _setting(
        False,
        "JWT_REQUIRE_EXP",
        parsers.parse_switch,
        "`1` refuses tokens without an end; an `exp` is always enforced, with 30 s of leeway",
    )
    allow_weak_secret: bool = _setting(
        False,
        "AUDIOSTREAM_ALLOW_WEAK_SECRET",
        parsers.parse_switch,
        "`1` accepts a shorter `JWT_SECRET`, with a warning",
    )
    host: str = _setting(
        "0.0.0.0",  # noqa: S104 - other devices of the house are the point
        "AUDIOSTREAM_HOST",
        parsers.parse_text,
        "where to listen; several hosts comma-separated, or `--host` again; `::` is all of IPv6 "
        "and IPv4, `unix:/path` a unix socket for the server's user and group",
    )
    port: int = _setting(3000, "AUDIOSTREAM_PORT", parsers.parse_port, "the TCP port")
    public_streams: bool = _setting(
        False,
        "AUDIOSTREAM_STREAM_AUTH",
        parsers.parse_stream_auth,
        "`public`: shared tracks stream without a credential; owned ones never do",
        shown="`required`",
    )
    cors_origins: tuple[str, ...] = _setting(
        (),
        "CORS_ORIGINS",
        parsers.parse_origins,
        "comma-separated origins whose pages may use REST and the WebSocket; "
        "`*` for all, without credentials",
    )
    sync_tolerance: float = _setting(
        1.0,
        "AUDIOSTREAM_SYNC_TOLERANCE",
        parsers.parse_seconds,
        "seconds that players may be apart and still be in sync; "
        "`0` broadcasts every report to all",
    )
    state: Path | None = _setting(  # noqa: RUF009
        None,
        "AUDIOSTREAM_STATE",
        parsers.parse_state_file,
        "the SQLite file that keeps playback across restarts; `:memory:` keeps nothing",
        shown="`~/.local/state/audiostream/state.sqlite3`",
    )
    max_history: int = _setting(
        2000,
        "AUDIOSTREAM_MAX_HISTORY",
        parsers.parse_count,
        f"how many of the tracks that a user played are remembered, at most {MAX_HISTORY}; "
        "`0` remembers none, and forgets those that were",
    )
    redis: str | None = _setting(
        None,
        "AUDIOSTREAM_REDIS",
        parsers.parse_redis_url,
        "the Redis or Valkey that keeps playback in place of the state file, for several "
        "processes that serve the same users: `redis://host:6379/0`, `rediss://…` or "
        "`unix:///path`; needs the extra `[redis]`",
    )
    metrics: str | None = _setting(
        None,
        "AUDIOSTREAM_METRICS",
        parsers.parse_text,
        "where `/metrics` is served for Prometheus, to everybody who can connect: "
        "`127.0.0.1:9100`, `[::1]:9100` or `unix:/path`; needs the extra `[metrics]`",
    )
    metrics_token: str | None = _setting(
        None,
        "AUDIOSTREAM_METRICS_TOKEN",
        parsers.parse_text,
        "the Bearer token for `GET /metrics` beside the other routes, which is not there "
        "otherwise; needs the extra `[metrics]`",
    )
    limits: Limits = Limits()
    json_log: bool = _setting(
        False, "AUDIOSTREAM_LOG_JSON", parsers.parse_switch, "`1` logs one JSON object a line"
    )
    access_log: bool = _setting(
        True,
        "AUDIOSTREAM_ACCESS_LOG",
        parsers.parse_switch,
        "`0` logs no requests: a proxy in front has a log of its own",
    )
    trusted_proxies: tuple[str, ...] = _setting(
        (),
        "AUDIOSTREAM_TRUSTED_PROXIES",
        parsers.parse_proxies,
        "comma-separated addresses, networks, or `unix`: who comes from there may say by "
        "`X-Forwarded-For`, `-Proto` and `-Host`, or without these by `Forwarded`, for whom it "
        "asks",
    )
    x_accel: str | None = _setting(
        None,
        "AUDIOSTREAM_X_ACCEL",
        parsers.parse_location,
        "`/protected/`: by `X-Accel-Redirect` nginx sends audio from this `internal` location, "
        "after all checks, where a trusted proxy forwards the request; "
        "`AUDIOSTREAM_STREAMS_PER_USER` does not count it, so limit it by nginx's `limit_conn` "
        "(DEPLOYMENT.md)",
    )
    fast_path: bool = _setting(
        True,
        "AUDIOSTREAM_FAST_PATH",
        parsers.parse_switch,
        "`0` streams all audio by way of aiohttp's request cycle, which is slower",
    )

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
        parsers.parse_hosts(self.host)
        if self.x_accel is not None:
            parsers.parse_location("AUDIOSTREAM_X_ACCEL", self.x_accel)
            if not self.trusted_proxies:
                raise SettingsError(
                    "AUDIOSTREAM_X_ACCEL needs AUDIOSTREAM_TRUSTED_PROXIES: nginx sends only what "
                    "a trusted proxy asks for. Name nginx's address there, like 127.0.0.1."
                )
        if not 0 <= self.port <= 65535:
            raise SettingsError(f"the port must be between 0 and 65535, not {self.port}.")
        if not (math.isfinite(self.sync_tolerance) and 0 <= self.sync_tolerance <= 60):
            raise SettingsError("AUDIOSTREAM_SYNC_TOLERANCE must be between 0 and 60 seconds.")
        if not 0 <= self.max_history <= MAX_HISTORY:
            raise SettingsError(f"AUDIOSTREAM_MAX_HISTORY must be between 0 and {MAX_HISTORY}.")
        if self.metrics is not None:
            parsers.parse_host_and_port("AUDIOSTREAM_METRICS", self.metrics)
        if self.metrics_token is not None and len(self.metrics_token.split()) != 1:
            raise SettingsError("AUDIOSTREAM_METRICS_TOKEN must be one word: it goes in a header.")

    @property
    def hosts(self) -> tuple[str, ...]:
        """Where to listen; addresses of version 6 without brackets."""
        return parsers.parse_hosts(self.host)

    @property
    def exposes_metrics(self) -> bool:
        return self.metrics is not None or self.metrics_token is not None

    @property
    def has_weak_secret(self) -> bool:
        return len(self.jwt_secret.encode()) < MIN_SECRET_BYTES

    @classmethod
    def load(
        cls, environ: Mapping[str, str], overrides: Mapping[str, str | None] | None = None
    ) -> Settings:
        """Build settings from ``environ``; ``overrides`` win where they are not None.

        Both use the names of the environment. An empty value counts as not set.
        """
        wins = {name: text for name, text in (overrides or {}).items() if text is not None}
        given = {name: text.strip() for name, text in {**environ, **wins}.items() if text.strip()}
        values: dict[str, Any] = {
            "jwt_secret": "",
            "media": _CHECKOUT_MEDIA if _CHECKOUT_MEDIA.is_dir() else Path("media"),
            "state": parsers.default_state_file(given),
        }
        return cls(**values | _parse(cls, given), limits=Limits(**_parse(Limits, given)))


def state_file(environ: Mapping[str, str]) -> Path | None:
    """Return the state file: ``AUDIOSTREAM_STATE`` or the default, None for ``:memory:``."""
    named = environ.get("AUDIOSTREAM_STATE")
    if named is not None:
        return parsers.parse_state_file("AUDIOSTREAM_STATE", named)
    return parsers.default_state_file(environ)


def redis_url(environ: Mapping[str, str]) -> str | None:
    """Return ``AUDIOSTREAM_REDIS``, None where it is not set. Raises ``SettingsError``."""
    named = environ.get("AUDIOSTREAM_REDIS", "").strip()
    return parsers.parse_redis_url("AUDIOSTREAM_REDIS", named) if named else None


def settings_table(kind: type[Settings] | type[Limits]) -> dict[str, Setting]:
    """Return the settings by field."""
    return {
        item.name: item.metadata["setting"] for item in fields(kind) if "setting" in item.metadata
    }


def markdown_tables() -> tuple[str, str]:
    """Return the tables of settings and of limits for the documents."""
    tables = []
    for kind, meaning in ((Settings, "meaning"), (Limits, "one more is answered with")):
        rows = [f"| environment | default | {meaning} |", "|---|---|---|"]
        rows += [
            f"| `{row.variable}` | {row.default} | {row.help} |"
            for row in settings_table(kind).values()
        ]
        tables.append("\n".join(rows))
    return tables[0], tables[1]


def _parse(kind: type[Settings] | type[Limits], given: Mapping[str, str]) -> dict[str, Any]:
    """Return the values of those fields whose variables are given."""
    return {
        name: setting.parse(setting.variable, given[setting.variable])
        for name, setting in settings_table(kind).items()
        if setting.variable in given
    }

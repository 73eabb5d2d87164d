"""``python -m audiostream``: serve, or make a token or a secret.

Here: arguments, the log, signals and exit codes: 0 done, 2 for a setting that is wrong. Not here:
what the settings mean (``settings``), what is served (``app``).
"""

from __future__ import annotations

import argparse
import asyncio
import errno
import logging
import os
import re
import secrets
import signal
import sys
import time
from collections.abc import Sequence

from aiohttp import web

from . import __version__
from .app import AccessLogger, create_app, tokens_of
from .errors import AudiostreamError, SettingsError, Unauthorized
from .keys import RESCAN
from .settings import Settings

SHUTDOWN_TIMEOUT = 2.0
"""Seconds that requests under way may still take at a stop."""
_log = logging.getLogger("audiostream")

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and answer the exit code."""
    options = _parser().parse_args(arguments)
    try:
        match options.command:
            case "secret":
                print(secrets.token_urlsafe(48))
            case "token":
                print(_token(options))
            case _:
                _serve(options)
    except AudiostreamError as error:
        print(f"audiostream: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="audiostream", description="Personal audio that follows a user across devices."
    )
    parser.add_argument("--version", action="version", version=f"audiostream {__version__}")
    _add_serve_options(parser)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    serve = commands.add_parser("serve", help="serve (what happens without a command)")
    _add_serve_options(serve)
    token = commands.add_parser("token", help="print a token for trying things out")
    token.add_argument("user", help="the user's id")
    token.add_argument(
        "--expires", metavar="12h", help="its life in s, m, h or d (default: no end)"
    )
    commands.add_parser("secret", help="print a fresh JWT_SECRET")
    return parser


def _add_serve_options(parser: argparse.ArgumentParser) -> None:
    """The same options before and behind ``serve``; those not given leave no trace."""
    for name, meaning in (
        ("host", "address to listen at (AUDIOSTREAM_HOST, 0.0.0.0)"),
        ("port", "port to listen at (AUDIOSTREAM_PORT, 3000)"),
        ("media", "media folder (AUDIOSTREAM_MEDIA)"),
    ):
        parser.add_argument(
            f"--{name}", metavar=name.upper(), help=meaning, default=argparse.SUPPRESS
        )


def _settings(options: argparse.Namespace) -> Settings:
    given = vars(options)
    names = {"host": "AUDIOSTREAM_HOST", "port": "AUDIOSTREAM_PORT", "media": "AUDIOSTREAM_MEDIA"}
    return Settings.load(
        os.environ, {variable: given.get(option) for option, variable in names.items()}
    )


def _token(options: argparse.Namespace) -> str:
    life = None if options.expires is None else _life(options.expires)
    try:
        return tokens_of(_settings(options)).mint(options.user, time.time(), life)
    except Unauthorized as error:
        raise SettingsError(str(error)) from None


def _life(text: str) -> int:
    match = re.fullmatch(r"([1-9][0-9]{0,8})([smhd])", text)
    if match is None:
        raise SettingsError(
            f"--expires must be a number with s, m, h or d, like 12h, not {text!r}."
        )
    return int(match[1]) * _UNITS[match[2]]


def _serve(options: argparse.Namespace) -> None:
    settings = _settings(options)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    app = create_app(settings)
    app.on_startup.append(_rescan_on_hangup)
    try:
        web.run_app(
            app,
            host=settings.host,
            port=settings.port,
            access_log_class=AccessLogger,
            shutdown_timeout=SHUTDOWN_TIMEOUT,
            print=_announce,
        )
    except OSError as error:
        raise SettingsError(_listen_failure(settings, error)) from None


def _announce(banner: str) -> None:
    addresses = re.findall(r"https?://[^\s,]+", banner)
    _log.info("listening at %s; stop with Ctrl+C", ", ".join(addresses))


async def _rescan_on_hangup(app: web.Application) -> None:
    if hasattr(signal, "SIGHUP"):
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, app[RESCAN].set)


def _listen_failure(settings: Settings, error: OSError) -> str:
    address = f"{settings.host}:{settings.port}"
    if error.errno == errno.EADDRINUSE:
        return f"{address} is in use. Stop what listens there, or name another --port."
    if error.errno == errno.EACCES:
        return f"{address} may not be used by this user. Name a --port above 1023."
    return f"cannot listen at {address}: {error.strerror or error}."


if __name__ == "__main__":
    sys.exit(main())

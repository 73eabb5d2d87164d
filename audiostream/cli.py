"""The command line: serve, print a token or a secret, revoke a user's tokens.

Exit codes: 0 done, 2 for a setting that is wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import secrets
import sys
import time
from collections.abc import Sequence

from . import __version__
from .app import create_app, tokens_of
from .errors import AudiostreamError, SettingsError, Unauthorized
from .server import configure_logging, run
from .settings import Settings, redis_url, settings_table, state_file
from .storage.revocations import revoke

_OPTIONS = ("host", "port", "media", "state")
"""Fields of ``Settings`` that arguments set."""
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
            case "revoke":
                print(_revoke(options))
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
    revoke = commands.add_parser("revoke", help="end all tokens given to a user until now")
    revoke.add_argument("user", help="the user's id")
    _add_option(revoke, "state")
    commands.add_parser("secret", help="print a fresh JWT_SECRET")
    return parser


def _add_serve_options(parser: argparse.ArgumentParser) -> None:
    """The same options before and behind ``serve``; those not given leave no trace."""
    for name in _OPTIONS:
        _add_option(parser, name)
    parser.add_argument(
        "--log-json",
        action="store_const",
        const="1",
        default=argparse.SUPPRESS,
        help="log one JSON object a line (AUDIOSTREAM_LOG_JSON=1)",
    )


def _add_option(parser: argparse.ArgumentParser, name: str) -> None:
    parser.add_argument(
        f"--{name}",
        metavar=name.upper(),
        help=_help(name),
        default=argparse.SUPPRESS,
        action="append" if name == "host" else "store",
    )


def _help(name: str) -> str:
    setting = settings_table(Settings)[name]
    return f"{setting.help} ({setting.variable}, {setting.default})".replace("`", "")


def _settings(options: argparse.Namespace) -> Settings:
    given = vars(options)
    if "host" in given:
        given = {**given, "host": ",".join(given["host"])}
    names = (*_OPTIONS, "log_json")
    return Settings.load(
        os.environ, {f"AUDIOSTREAM_{name.upper()}": given.get(name) for name in names}
    )


def _token(options: argparse.Namespace) -> str:
    life = None if options.expires is None else _life(options.expires)
    here = {"AUDIOSTREAM_MEDIA": "."}  # a token needs no music
    try:
        return tokens_of(Settings.load(os.environ, here)).mint(options.user, time.time(), life)
    except Unauthorized as error:
        raise SettingsError(str(error)) from None


def _revoke(options: argparse.Namespace) -> str:
    redis = redis_url(os.environ)
    if redis is None:
        named = {"AUDIOSTREAM_STATE": options.state} if "state" in options else {}
        state = state_file({**os.environ, **named})
        if state is None:
            raise SettingsError(
                "there is no state file to note it in. Name the server's with --state."
            )
        revoke(state, options.user, time.time())
    elif "state" in options:
        raise SettingsError(
            "AUDIOSTREAM_REDIS is set, where servers read who is revoked. "
            "Leave out --state, or unset AUDIOSTREAM_REDIS for a server with a state file."
        )
    else:
        asyncio.run(_revoke_in_redis(redis, options.user))
    return f"All tokens, tickets and cookies that {options.user!r} was given until now are void."


async def _revoke_in_redis(url: str, user_id: str) -> None:
    from .storage.redis_store import RedisStore  # for this command alone

    store = RedisStore(url)
    await store.open()
    try:
        await store.revoke(user_id, time.time())
    finally:
        await store.close()


def _life(text: str) -> int:
    match = re.fullmatch(r"([1-9][0-9]{0,8})([smhd])", text)
    if match is None:
        raise SettingsError(
            f"--expires must be a number with s, m, h or d, like 12h, not {text!r}."
        )
    return int(match[1]) * _UNITS[match[2]]


def _serve(options: argparse.Namespace) -> None:
    settings = _settings(options)
    configure_logging(settings)
    run(create_app(settings), settings)

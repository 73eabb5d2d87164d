"""``python -m audiostream.client play``: options, the token, signals, and errors as text."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from shutil import which

from ..errors import AudiostreamError, Unauthorized
from .connecting import connect
from .connection import Token
from .device_identity import remembered_device_id, state_folder
from .headless_player import HeadlessPlayer
from .model import Volume
from .mpv_process import MpvNotFound, running_mpv
from .mpv_supervisor import MpvKeepsEnding, MpvSupervisor
from .wire import Address

TOKEN_VARIABLE = "AUDIOSTREAM_TOKEN"  # noqa: S105 - its name
MAX_TOKEN = 8192
"""Bytes of a token file; the server reads no longer one."""


class UsageError(Exception):
    """Raised for what must be mended before the player can start. The text says what to do."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT. Return the exit status; errors are printed to stderr."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(
        level=logging.DEBUG if options.verbose else logging.INFO, format="%(levelname)s %(message)s"
    )
    try:
        asyncio.run(_play(options))
    except Unauthorized as error:
        return _fail(f"the server refused the token: {error}; make another one for this user")
    except (UsageError, AudiostreamError, MpvNotFound, MpvKeepsEnding) as error:
        return _fail(str(error))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m audiostream.client")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    play = commands.add_parser(
        "play",
        help="sound as a device of a user, without a screen",
        description="Sounds as a device of the token's user, controlled by the user's other "
        f"devices, with mpv. The token comes from --token-file or {TOKEN_VARIABLE}.",
    )
    play.add_argument("url", metavar="URL", help="the server: http(s)://host[:port][/prefix]")
    play.add_argument(
        "--device-name", default=socket.gethostname(), help="as other devices show it (the host's)"
    )
    play.add_argument("--device-id", help="(one that is made at first and kept)")
    play.add_argument("--token-file", type=Path, help="is read again for each connection")
    play.add_argument("--volume", type=_volume, help="from 0 to 1, at the start")
    play.add_argument(
        "--sounds",
        choices=("active", "always"),
        default="active",
        help="while this is the active device (the default), or beside other devices too",
    )
    play.add_argument("--audio-device", help="of mpv; mpv --audio-device=help lists them")
    play.add_argument("--mpv", default="mpv", help="the program (mpv)")
    play.add_argument(
        "--mpv-option",
        action="append",
        default=[],
        metavar="OPTION",
        help="for mpv, like --mpv-option=--ao=alsa; may be given several times",
    )
    play.add_argument("--verbose", action="store_true", help="log more")
    return parser


async def _play(options: argparse.Namespace) -> None:
    """Run the player until a signal. Raises what ends it."""
    _check(options)
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    running = asyncio.create_task(_run_device(options))
    stopping = asyncio.create_task(stopped.wait())
    try:
        await asyncio.wait((running, stopping), return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
    finally:
        for each in (running, stopping):
            each.cancel()
        await asyncio.gather(running, stopping, return_exceptions=True)


async def _run_device(options: argparse.Namespace) -> None:
    device_id = options.device_id or remembered_device_id(
        state_folder(os.environ), options.device_name
    )
    mpv_options = list(options.mpv_option)
    if options.audio_device is not None:
        mpv_options.append(f"--audio-device={options.audio_device}")
    async with connect(
        options.url,
        token_of(options.token_file, os.environ),
        device_id=device_id,
        device_name=options.device_name,
        sounds=options.sounds,
    ) as player:
        supervisor = MpvSupervisor(partial(running_mpv, options.mpv, mpv_options))
        await HeadlessPlayer(player, supervisor, Volume(options.volume)).run()


def _check(options: argparse.Namespace) -> None:
    """Raise ``UsageError`` for what would fail later, or for ever."""
    try:
        Address.parse(options.url)
    except ValueError as error:
        raise UsageError(str(error)) from None
    if which(options.mpv) is None:
        raise UsageError(
            f"there is no program {options.mpv!r}: install mpv (apt install mpv), or name it "
            "with --mpv"
        )
    token = token_of(options.token_file, os.environ)
    if not isinstance(token, str):
        token()


def token_of(path: Path | None, environ: Mapping[str, str]) -> Token:
    """Return the token, or what reads it. Raises ``UsageError``."""
    if path is not None:
        return partial(_read_token, path)
    token = environ.get(TOKEN_VARIABLE, "").strip()
    if not token:
        raise UsageError(
            f"there is no token: name a file that holds one with --token-file, or set "
            f"{TOKEN_VARIABLE}; python -m audiostream token USER makes one"
        )
    return token


def _read_token(path: Path) -> str:
    try:
        with path.open("rb") as file:
            token = file.read(MAX_TOKEN + 1).decode("ascii").strip()
    except OSError as error:
        raise UsageError(f"the token file cannot be read: {error}") from None
    except UnicodeError:
        token = ""
    if not token or len(token) > MAX_TOKEN or len(token.split()) != 1:
        raise UsageError(f"the file {path} does not hold one token and nothing else")
    return token


def _volume(text: str) -> float:
    try:
        volume = float(text)
    except ValueError:
        volume = -1.0
    if not 0 <= volume <= 1:
        raise argparse.ArgumentTypeError(f"a volume is from 0 to 1, not {text!r}")
    return volume


def _fail(message: str) -> int:
    print(f"audiostream: {message}", file=sys.stderr)
    return 1

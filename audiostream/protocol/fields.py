"""Decoding of single fields of client events. All raise ``InvalidMessage``, with the name."""

from __future__ import annotations

import math

from ..errors import InvalidMessage
from .strict_json import JsonObject

MAX_COMMAND_ID_LENGTH = 64
"""Characters; a UUID has 36."""


def text(data: JsonObject, name: str) -> str:
    """Return a text that must be there and not be empty."""
    value = data.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidMessage(f'"{name}" must be a non-empty string')
    return value


def optional_text(data: JsonObject, name: str) -> str | None:
    """Return a text, which must not be empty; None where it is absent or null."""
    return None if data.get(name) is None else text(data, name)


def number(data: JsonObject, name: str) -> float | None:
    """Return a finite number as a float; None where it is absent or null."""
    value = data.get(name)
    if value is None:
        return None
    if type(value) is not float:
        if type(value) is not int:
            raise InvalidMessage(f'"{name}" must be a number')
        try:
            value = float(value)
        except OverflowError:
            value = math.inf
    if not math.isfinite(value):
        raise InvalidMessage(f'"{name}" must be a finite number')
    return value


def index(data: JsonObject, name: str) -> int | None:
    """Return a place in a list, counted from 0; None where it is absent or null."""
    value = data.get(name)
    if value is None:
        return None
    if type(value) is not int or value < 0:
        raise InvalidMessage(f'"{name}" must be a whole number, 0 or more')
    return value


def flag(data: JsonObject, name: str) -> bool:
    """Return a truth value; False where it is absent or null."""
    value = data.get(name)
    if value is not None and not isinstance(value, bool):
        raise InvalidMessage(f'"{name}" must be true or false')
    return bool(value)


def optional_flag(data: JsonObject, name: str) -> bool | None:
    """Return a truth value; None where it is absent or null."""
    return None if data.get(name) is None else flag(data, name)


def volume_level(data: JsonObject) -> float | None:
    """Return the ``volume`` of a device, between 0 and 1; None where it is absent or null."""
    value = number(data, "volume")
    if value is not None and not 0.0 <= value <= 1.0:
        raise InvalidMessage('"volume" must be between 0 and 1')
    return value


def if_rev(data: JsonObject) -> int | None:
    """Return the rev that a command is meant for (R8); None where it does not matter."""
    rev = data.get("ifRev")
    if rev is not None and type(rev) is not int:
        raise InvalidMessage('"ifRev" must be an integer')
    return rev


def command_id(data: JsonObject) -> str | None:
    """Return the id by which a command that is sent again is recognized, None without one."""
    value = data.get("commandId")
    if value is None:
        return None
    if not isinstance(value, str) or not 0 < len(value) <= MAX_COMMAND_ID_LENGTH:
        raise InvalidMessage(
            f'"commandId" must be a string of 1 to {MAX_COMMAND_ID_LENGTH} characters'
        )
    return value

"""Read JSON from Redis as values of known types.

Strict in what is known, tolerant of more: a field of another type raises ``ValueError``, an unknown
field is ignored, a missing one has its default.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, cast

from ..errors import InvalidMessage
from ..protocol.strict_json import parse_json

_T = TypeVar("_T")


def parse(text: str | bytes) -> Any:
    """Parse any JSON value. Raises ``ValueError`` as all functions here do."""
    try:
        return parse_json(text.decode() if isinstance(text, bytes) else text)
    except InvalidMessage as error:
        raise ValueError(str(error)) from None


def as_type(name: str, value: object, kind: type[_T]) -> _T:
    """Return a value of a type; an int counts as a float, a bool as no number."""
    if kind is float and type(value) is int:
        try:
            return cast(_T, float(value))
        except OverflowError:
            raise ValueError(f"{name} is too large") from None
    if type(value) is not kind:
        raise ValueError(f"{name} is not {kind.__name__}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{name} is not finite")
    return value


def as_object(value: object) -> dict[str, Any]:
    """Return a JSON object."""
    return as_type("the value", value, dict)


def as_list(value: object) -> list[Any]:
    """Return a JSON array."""
    return as_type("the value", value, list)


def as_items(value: object, *kinds: type) -> tuple[Any, ...]:
    """Return the items of an array that has these types and no more."""
    items = as_list(value)
    if len(items) != len(kinds):
        raise ValueError(f"{len(kinds)} items are expected")
    return tuple(as_type("an item", each, kind) for each, kind in zip(items, kinds, strict=True))


def as_texts(value: object) -> tuple[str, ...]:
    """Return an array of strings."""
    return tuple(as_type("an item", each, str) for each in as_list(value))


def read_field(content: Mapping[str, Any], name: str, kind: type[_T]) -> _T:
    """Return a field that must be there."""
    return as_type(name, content.get(name), kind)


def read_fields(content: Mapping[str, Any], types: Mapping[str, type]) -> dict[str, Any]:
    """Return those fields of an object that are known and not null."""
    present = {name: content[name] for name in types if content.get(name) is not None}
    return {name: as_type(name, value, types[name]) for name, value in present.items()}


def present_fields(source: object, names: Iterable[str]) -> dict[str, Any]:
    """Return those fields of a dataclass that are not None."""
    values = ((name, getattr(source, name)) for name in names)
    return {name: value for name, value in values if value is not None}

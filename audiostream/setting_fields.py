"""How a field of ``Settings`` is defined: its variable, parser, default and description."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from .setting_parsers import parse_limit

SECRETS: Final = frozenset({"JWT_SECRET", "AUDIOSTREAM_REDIS", "AUDIOSTREAM_METRICS_TOKEN"})
"""Variables whose values are not shown where settings are printed: a URL may hold a password."""

Parser: TypeAlias = Callable[[str, str], Any]
"""Takes a variable's name and its text. Raises ``SettingsError``."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One variable. ``default`` and ``help`` are in Markdown."""

    variable: str
    parse: Parser
    help: str
    default: str


def setting(
    default: Any, variable: str, parse: Parser, help: str, *, shown: str | None = None
) -> Any:
    """Define a field. ``shown`` is its default in documents, where that is not the value."""
    if shown is None:
        text = str(int(default)) if isinstance(default, bool) else str(default or "")
        shown = f"`{text}`" if text else "not set"
    metadata = {"setting": Setting(variable, parse, help, shown)}
    return field(default=default, repr=variable not in SECRETS, metadata=metadata)


def limit(default: int, variable: str, unit: str, refusal: str) -> Any:
    """Define a limit; its description is how the server refuses what exceeds it."""
    shown = f"{default}{unit}"
    return setting(default, variable, parse_limit, refusal, shown=shown)

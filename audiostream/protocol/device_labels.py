"""The labels of a device, ``deviceId`` and ``deviceName``: checked, cleaned and truncated."""

from __future__ import annotations

import re
import unicodedata

from ..errors import InvalidMessage
from ..playback.commands import fast_dataclass
from .strict_json import JsonObject

MAX_LABEL_LENGTH = 128
"""Characters: longer labels are truncated, as device lists and state frames carry them."""


@fast_dataclass
class DeviceLabels:
    """What a device wants to be called; None where it does not say."""

    device_id: str | None = None
    device_name: str | None = None

    @classmethod
    def decode(cls, data: JsonObject) -> DeviceLabels:
        """Decode the labels of an ``auth`` frame or a query string. Raises ``InvalidMessage``."""
        return cls(_clean(data, "deviceId"), _clean(data, "deviceName"))


def _clean(data: JsonObject, name: str) -> str | None:
    """Return a label as it is displayed, None where nothing of it is visible.

    No-break spaces, joined emoji and right-to-left scripts are common in names, and stay.
    Directional overrides and isolates are removed, as they would reorder the text around the label
    (UAX #9). Raises ``InvalidMessage`` for control characters.
    """
    text = data.get(name)
    if text is None:
        return None
    if not isinstance(text, str) or _CONTROLS.search(text):
        raise InvalidMessage(f'"{name}" must be text without control characters')
    text = _DIRECTIONAL_FORMATTING.sub("", text).strip()
    if len(text) > MAX_LABEL_LENGTH:
        text = text[: _last_boundary(text, MAX_LABEL_LENGTH)].rstrip()
    return None if all(map(_is_invisible, text)) else text


def _last_boundary(text: str, end: int) -> int:
    """Return the last boundary between grapheme clusters up to ``end``; ``end`` if there is none.

    An approximation of the extended grapheme clusters of UAX #29: combining marks, joined emoji,
    skin tones, tags and the two halves of a flag stay together.
    """
    for index in range(end, 0, -1):
        before, after = text[index - 1], text[index]
        continues = before == _ZERO_WIDTH_JOINER or _EXTENDERS.match(after) or _is_mark(after)
        if not continues and not _splits_flag(text, index):
            return index
    return end


def _splits_flag(text: str, index: int) -> bool:
    if not _REGIONAL_INDICATOR.match(text[index]):
        return False
    first = index
    while first > 0 and _REGIONAL_INDICATOR.match(text[first - 1]):
        first -= 1
    return (index - first) % 2 == 1


def _is_invisible(character: str) -> bool:
    return character.isspace() or unicodedata.category(character) == "Cf" or _is_mark(character)


def _is_mark(character: str) -> bool:
    return unicodedata.category(character).startswith("M")


_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_DIRECTIONAL_FORMATTING = re.compile("[\u202a-\u202e\u2066-\u2069]")
_ZERO_WIDTH_JOINER = "\u200d"
_EXTENDERS = re.compile("[\u200c\u200d\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]")
_REGIONAL_INDICATOR = re.compile("[\U0001f1e6-\U0001f1ff]")
"""One half of a flag."""

"""Device labels: what is refused, removed and truncated."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiostream.errors import InvalidMessage
from audiostream.protocol.device_labels import MAX_LABEL_LENGTH, DeviceLabels

FAMILY = "\N{MAN}\N{ZERO WIDTH JOINER}\N{WOMAN}\N{ZERO WIDTH JOINER}\N{GIRL}"
ENGLAND = (
    "\N{WAVING BLACK FLAG}" + "".join(chr(0xE0000 + ord(sign)) for sign in "gbeng") + "\U000e007f"
)
SWISS = "\N{REGIONAL INDICATOR SYMBOL LETTER C}\N{REGIONAL INDICATOR SYMBOL LETTER H}"
WAVE = "\N{WAVING HAND SIGN}\N{EMOJI MODIFIER FITZPATRICK TYPE-4}"


def cleaned(name: object) -> str | None:
    return DeviceLabels.decode({"deviceName": name}).device_name


def test_both_labels_are_decoded_and_none_where_they_are_missing() -> None:
    data = {"token": "t", "deviceId": "d", "deviceName": "Küche"}
    assert DeviceLabels.decode(data) == DeviceLabels("d", "Küche")
    assert DeviceLabels.decode({}) == DeviceLabels(None, None)


@pytest.mark.parametrize("label", [5, ["x"], {}, True, "a\nb", "\x00", "\x85", "\u2028", "\ud83d"])
def test_a_label_that_is_no_text_or_has_control_characters_is_refused(label: object) -> None:
    with pytest.raises(InvalidMessage, match="deviceName"):
        cleaned(label)


def test_a_label_of_the_longest_length_is_kept_whole() -> None:
    assert cleaned("x" * MAX_LABEL_LENGTH) == "x" * MAX_LABEL_LENGTH


@pytest.mark.parametrize("whole", [FAMILY, ENGLAND, SWISS, WAVE, "e\N{COMBINING ACUTE ACCENT}"])
def test_truncation_never_splits_a_grapheme_cluster(whole: str) -> None:
    for before in range(MAX_LABEL_LENGTH - len(whole), MAX_LABEL_LENGTH + 1):
        kept = "x" * before
        shown = cleaned(kept + whole * 40)
        assert shown is not None
        assert len(shown) <= MAX_LABEL_LENGTH
        assert shown.startswith(kept)
        rest = shown.removeprefix(kept)
        assert rest == whole * (len(rest) // len(whole))


def test_a_single_cluster_of_a_thousand_marks_is_truncated_all_the_same() -> None:
    shown = cleaned("x" + "\N{COMBINING ACUTE ACCENT}" * 1000)
    assert shown is not None
    assert len(shown) == MAX_LABEL_LENGTH


@given(st.text(max_size=400))
def test_a_cleaned_label_is_short_visible_and_unchanged_by_cleaning_it_again(text: str) -> None:
    try:
        shown = cleaned(text)
    except InvalidMessage:
        assert any(unicodedata.category(sign) in {"Cc", "Cs", "Zl", "Zp"} for sign in text)
        return
    if shown is not None:
        assert 0 < len(shown) <= MAX_LABEL_LENGTH
        assert cleaned(shown) == shown

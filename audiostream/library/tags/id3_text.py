"""Texts of ID3 tags, also those in other encodings than their tag declares."""

from __future__ import annotations

import codecs


def decode_frame(content: bytes) -> str:
    """Return the first text of an ID3v2 text frame.

    Empty where its bytes are not in the encoding that the frame declares: half a title is worse
    than none. Text declared as Latin-1 is decoded by ``decode_latin_1``.
    """
    encoding, text = content[0], content[1:]
    try:
        if encoding == 0:
            return decode_latin_1(text.split(b"\0")[0])
        if encoding == 3:
            return text.split(b"\0")[0].decode("utf-8-sig")
        if encoding in {1, 2}:
            return _decode_utf_16(text, "utf-16-be" if encoding == 2 else "utf-16-le")
    except UnicodeDecodeError:
        pass
    return ""


def decode_v1(field: bytes, size: int) -> str:
    """Return the text of an ID3v1 field of ``size`` bytes, which may end inside a character."""
    text = field.split(b"\0")[0]
    if len(text) == size:
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            whole = decoder.decode(text)
        except UnicodeDecodeError:
            return decode_latin_1(text)
        # A last accented letter of Latin-1 looks alike, but then there is no UTF-8 before it.
        if not whole.isascii():
            return whole
    return decode_latin_1(text)


def decode_latin_1(text: bytes) -> str:
    """Decode text that is declared as Latin-1, and is often UTF-8 or Windows-1252 instead.

    Latin-1 text beyond ASCII that is valid UTF-8 by chance is rare: each such character would be
    an accented capital followed by a control character or a symbol.
    """
    for encoding in ("utf-8", "cp1252"):
        try:
            return text.decode(encoding)
        except UnicodeDecodeError:
            continue
    return text.decode("latin-1")


def _decode_utf_16(text: bytes, default: str) -> str:
    """Decode up to the first null character, in the ``default`` byte order without a mark."""
    encoding = default
    if text.startswith(codecs.BOM_UTF16_LE):
        text, encoding = text[2:], "utf-16-le"
    elif text.startswith(codecs.BOM_UTF16_BE):
        text, encoding = text[2:], "utf-16-be"
    return text[: len(text) // 2 * 2].decode(encoding).split("\0")[0]

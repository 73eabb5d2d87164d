"""``HeaderTemplates``: the heads of a file's answers, rendered once a second."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from aiohttp.http import SERVER_SOFTWARE

from ..ranges import Validators, WholeFile, format_http_date, response_headers
from .open_files import OpenFile


class HeaderTemplates(NamedTuple):
    """The status line and the header fields of all answers of one second from one open file.

    ``partial`` is a %-template for the first and the last position, and the number of bytes.
    """

    validators: Validators
    whole: bytes
    partial: bytes


@lru_cache(maxsize=64)
def header_templates(opened: OpenFile, second: int) -> HeaderTemplates:
    """Render the heads of answers as aiohttp writes them; ``second`` in whole epoch seconds."""
    size, validators = opened.status.st_size, Validators.from_stat(opened.status, second)
    fields = response_headers(WholeFile(), validators, size, opened.path)
    entity = "".join([f"{name}: {value}\r\n" for name, value in fields.items()])
    common = "\r\nVary: Origin\r\nX-Content-Type-Options: nosniff\r\n"
    end = f"\r\nDate: {format_http_date(second)}\r\nServer: {SERVER_SOFTWARE}\r\n\r\n"
    whole = f"HTTP/1.1 200 OK{common}{entity}Content-Length: {size}{end}"
    partial = (
        f"HTTP/1.1 206 Partial Content{common}Content-Range: bytes \0-\0/{size}\r\n"
        f"{entity}Content-Length: \0{end}"
    )
    template = partial.replace("%", "%%").replace("\0", "%d")
    return HeaderTemplates(validators, whole.encode(), template.encode())

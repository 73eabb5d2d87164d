"""The heads of a file's answers, rendered once a second."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from ...ops.aiohttp_compat import SERVER_HEADER
from ..ranges import Validators, WholeFile, format_http_date, response_headers
from ..x_accel import file_uri, redirect_headers
from .open_files import OpenFile

_COMMON = "\r\nVary: Origin\r\nX-Content-Type-Options: nosniff\r\n"


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
    end = _end(second)
    whole = f"HTTP/1.1 200 OK{_COMMON}{entity}Content-Length: {size}{end}"
    partial = (
        f"HTTP/1.1 206 Partial Content{_COMMON}Content-Range: bytes \0-\0/{size}\r\n"
        f"{entity}Content-Length: \0{end}"
    )
    template = partial.replace("%", "%%").replace("\0", "%d")
    return HeaderTemplates(validators, whole.encode(), template.encode())


@lru_cache(maxsize=64)
def redirect_head(opened: OpenFile, location: str, root: Path, second: int) -> bytes | None:
    """Render the answer that has nginx send a file; None for one that it does not find."""
    uri = file_uri(location, root, Path(opened.path))
    if uri is None:
        return None
    status = opened.status
    fields = response_headers(
        WholeFile(), Validators.from_stat(status, second), status.st_size, opened.path
    )
    entity = "".join(
        f"{name}: {value}\r\n" for name, value in redirect_headers(uri, fields, status).items()
    )
    return f"HTTP/1.1 200 OK{_COMMON}{entity}Content-Length: 0{_end(second)}".encode()


def _end(second: int) -> str:
    return f"\r\nDate: {format_http_date(second)}\r\nServer: {SERVER_HEADER}\r\n\r\n"

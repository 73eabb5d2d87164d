"""Responses from memory: JSON, entity tags, conditional requests, security headers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

NO_SNIFF: Final = {"X-Content-Type-Options": "nosniff"}
"""Keeps browsers from guessing another media type than the one that is declared."""
NO_STORE: Final = {"Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class Body:
    """A response body, its media type, its strong entity tag with the quotes, and its headers.

    ``coding`` is its content coding; ``other_etags`` are those of the same content in others.
    """

    data: bytes
    media_type: str
    etag: str
    headers: Mapping[str, str]
    coding: str | None = None
    other_etags: tuple[str, ...] = ()

    @classmethod
    def of(cls, data: bytes, media_type: str, headers: Mapping[str, str] | None = None) -> Body:
        """Derive the entity tag from the data."""
        etag = f'"{hashlib.blake2b(data, digest_size=16).hexdigest()}"'
        return cls(data, media_type, etag, headers or {})

    @classmethod
    def json(cls, data: bytes, headers: Mapping[str, str] | None = None) -> Body:
        """Make a body of encoded JSON."""
        return cls.of(data, "application/json; charset=utf-8", headers)


BODY: Final = web.ResponseKey("audiostream_body", Body)
"""Keeps a shared body in memory until its response has been sent."""


def encode_json(content: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> bytes:
    """Return compact JSON in UTF-8."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def respond(request: web.Request, body: Body, headers: Mapping[str, str]) -> web.Response:
    """Return 200 with the body, or 304 where the client has it (RFC 9110 §13.1.2)."""
    listed = ",".join(request.headers.getall("If-None-Match", ()))
    cached = {tag.strip() for tag in listed.split(",")}
    headers = {**headers, **body.headers}
    for etag in (body.etag, *body.other_etags):
        if not cached.isdisjoint({"*", etag, f"W/{etag}"}):
            return web.Response(status=304, headers={**headers, "ETag": etag})
    if body.coding is not None:
        headers["Content-Encoding"] = body.coding
    headers |= {"Content-Type": body.media_type, "ETag": body.etag}
    response = web.Response(body=body.data, headers=headers)
    response[BODY] = body
    return response


def respond_personally(
    request: web.Request, body: Body, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Return one user's response, which a cache must revalidate (RFC 9111 §5.2.2.4)."""
    headers = {
        "Cache-Control": "private, no-cache",
        "Vary": "Authorization, Origin",
        **NO_SNIFF,
        **(headers or {}),
    }
    if request.method in {"GET", "HEAD"}:
        return respond(request, body, headers)
    return web.Response(body=body.data, headers={"Content-Type": body.media_type, **headers})


def error_response(
    status: int, code: str, message: str, *, headers: Mapping[str, str], **extra: Any
) -> web.Response:
    """Return ``{"error": {"code", "message", …}}``, the form of every error."""
    return web.Response(
        status=status,
        body=encode_json({"error": {"code": code, "message": message, **extra}}),
        content_type="application/json",
        charset="utf-8",
        headers={"Vary": "Origin", **NO_STORE, **NO_SNIFF, **headers},
    )

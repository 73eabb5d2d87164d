"""The QR code of an address on this server, with the optional package ``segno``.

A browser's Content-Security-Policy allows the page no picture from elsewhere, and an encoder in
JavaScript is larger than all of the player: so the server draws it.
"""

from __future__ import annotations

import asyncio
import re
from io import BytesIO
from typing import Final

from aiohttp import web

from ..errors import InvalidMessage
from ..ops import optional_packages
from ..ops.proxies import client_of
from ..websocket.origin import is_same_origin
from .requests import authenticate_command, read_json_object
from .responses import NO_SNIFF, NO_STORE

MAX_PATH: Final = 2000
"""Characters. A code holds 2,953 bytes at the lowest error correction (ISO/IEC 18004)."""
_PATH: Final = re.compile(r"/[!-~]*", re.ASCII)


async def draw_qr_code(request: web.Request) -> web.Response:
    """``POST /session/qr`` with ``{path}``: the code of that path on this server, as SVG.

    The path may carry a token in its fragment. It comes in a body, which no log has, and the
    response is stored nowhere. Raises ``InvalidMessage``, ``RateLimited``, and
    ``HTTPNotFound`` without ``segno``.
    """
    authenticate_command(request)
    path = (await read_json_object(request)).get("path")
    if not (isinstance(path, str) and len(path) <= MAX_PATH and _PATH.fullmatch(path)):
        raise InvalidMessage(
            f'"path" must begin with "/" and have at most {MAX_PATH} printable ASCII characters'
        )
    if not optional_packages.DRAWS_QR_CODES:
        raise web.HTTPNotFound(reason="No QR codes here: install audiostream[qr]")
    return web.Response(
        body=await asyncio.to_thread(_svg, _origin(request) + path),
        content_type="image/svg+xml",
        headers={**NO_STORE, **NO_SNIFF},
    )


def _origin(request: web.Request) -> str:
    """Return the origin that the user's browser knows this server by."""
    client = client_of(request)
    origin = request.headers.get("Origin")
    if origin is not None and is_same_origin(origin, client.host):
        return origin  # a proxy may end TLS without naming the scheme
    return f"{'https' if client.is_tls else 'http'}://{client.host}"


def _svg(text: str) -> bytes:
    """Return the code as an SVG document. Call it in a thread: it computes for up to 0.1 s."""
    import segno

    target = BytesIO()
    code = segno.make(text, error="l", micro=False)
    code.save(target, kind="svg", xmldecl=False, omitsize=True)
    return target.getvalue()

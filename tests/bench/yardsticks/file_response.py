"""aiohttp's own file server: ``python -m tests.bench.yardsticks.file_response PORT FOLDER``."""

from __future__ import annotations

import sys
from pathlib import Path

from aiohttp import web


def application(folder: Path) -> web.Application:
    """``GET /{name}``: a file of the folder, by ``FileResponse`` as it comes."""

    async def file(request: web.Request) -> web.FileResponse:
        return web.FileResponse(folder / request.match_info["name"])

    app = web.Application()
    app.router.add_get("/{name}", file)
    return app


if __name__ == "__main__":
    web.run_app(
        application(Path(sys.argv[2])),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        access_log=None,
        print=None,
    )

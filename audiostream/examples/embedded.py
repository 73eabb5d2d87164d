"""audiostream below ``/audio/`` of a larger aiohttp application.

Settings come from the environment, as with ``python -m audiostream``.
"""

from aiohttp import web

import audiostream


def kiosk() -> web.Application:
    app = web.Application()
    app.add_subapp("/audio/", audiostream.create_app())
    return app


if __name__ == "__main__":
    web.run_app(kiosk())

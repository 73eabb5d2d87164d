"""audiostream: one playback per user, on all of that user's devices.

Here: the version and the public names. ``create_app(Settings(...))`` makes an aiohttp
application; ``python -m audiostream`` serves one.
"""

from .app import create_app
from .settings import Settings

__all__ = ["Settings", "__version__", "create_app"]
__version__ = "0.1.0"

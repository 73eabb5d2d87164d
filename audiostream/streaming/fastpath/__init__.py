"""Plain range requests answered before aiohttp's request cycle: optional, Linux only.

Only ``audiostream/server.py`` imports this package. Both may go: then aiohttp answers everything.
"""

from .activation import fast_path

__all__ = ["fast_path"]

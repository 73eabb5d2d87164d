"""A client for kiosks and scripts that stays connected. Needs aiohttp alone.

``async with connect(url, token) as player`` is one device of a user.
"""

from .connection import Token
from .model import Event, State, Track
from .player import Player, connect

__all__ = ["Event", "Player", "State", "Token", "Track", "connect"]

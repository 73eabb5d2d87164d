"""A client for kiosks and scripts that stays connected. Needs aiohttp alone.

``async with connect(url, token) as player`` is one device of a user; ``python -m
audiostream.client play`` is a whole player without a screen, which sounds through mpv.
"""

from .connecting import connect
from .connection import Token
from .model import (
    Device,
    Event,
    Queue,
    QueuePlace,
    Repeat,
    Report,
    ServerInfo,
    Sounds,
    State,
    Track,
    Volume,
)
from .player import Player

__all__ = [
    "Device",
    "Event",
    "Player",
    "Queue",
    "QueuePlace",
    "Repeat",
    "Report",
    "ServerInfo",
    "Sounds",
    "State",
    "Token",
    "Track",
    "Volume",
    "connect",
]

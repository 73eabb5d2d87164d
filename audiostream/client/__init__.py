"""A client for kiosks and scripts that stays connected. Needs aiohttp alone."""

from .player import (
    Address,
    Event,
    Player,
    State,
    Token,
    Track,
    connect,
)

__all__ = ["Address", "Event", "Player", "State", "Token", "Track", "connect"]

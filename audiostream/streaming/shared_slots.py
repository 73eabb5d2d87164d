"""``SharedStreamSlots``: the streams of one of several processes that share a limit."""

from __future__ import annotations

import logging
from collections.abc import Hashable

from ..cluster.user_limits import UserLimits
from .stream_slots import StreamSlots

_log = logging.getLogger(__name__)


class SharedStreamSlots(StreamSlots):
    """Slots of users count in all processes, those of addresses in this one alone."""

    def __init__(self, shared: UserLimits, timeout: float | None) -> None:
        super().__init__(shared.streams.here, timeout)
        self._shared = shared
        shared.on_excess = self.disconnect_last

    def has_room(self, owner: Hashable) -> bool:
        """Whether an owner may have one stream more. False, too, where that is not known."""
        return bool(self._shared.streams.has_room(owner))

    async def make_room(self, owner: Hashable = None) -> bool:
        """Ask what an owner has elsewhere, if that is not known; else as ``StreamSlots``."""
        if isinstance(owner, str) and self._shared.streams.has_room(owner) is None:
            await self._shared.learn(owner)
            return True
        return await super().make_room(owner)

    def disconnect_last(self, owner: Hashable, count: int) -> None:
        """End the streams of an owner that began last. Does not wait."""
        streams = [stream for stream, whose in self._streams.items() if whose == owner]
        for stream in streams[-count:]:
            _log.info("disconnected a stream: its user has too many in all processes together")
            stream.disconnect(discard_unsent=True)

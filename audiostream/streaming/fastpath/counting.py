"""Counting of the bytes that the fast path sends, as it sends them."""

from __future__ import annotations

from typing import Any

from ..stream_slots import StreamSlots
from .protocol import FastPathProtocol
from .responder import RangeResponse
from .transfer import FileTransfer


class CountedFileTransfer(FileTransfer):
    """Counts each batch."""

    __slots__ = ("_slots",)

    def __init__(self, slots: StreamSlots, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._slots = slots

    def send(self) -> bool:
        before = self.sent
        needs_more = super().send()
        self._slots.count_sent(self.sent - before)
        return needs_more


class CountedFastPathProtocol(FastPathProtocol):
    """Counts what is sent of a body in the write of its head."""

    __slots__ = ()

    def _write(self, response: RangeResponse) -> int:
        sent = super()._write(response)
        self._responder.stream_slots.count_sent(sent)
        return sent

"""Counting of the bytes that the fast path sends, as it sends them."""

from __future__ import annotations

from ..stream_slots import StreamSlots
from .open_files import OpenFile
from .protocol import FastPathProtocol
from .responder import RangeResponse
from .transfer import FileTransfer


class CountedFileTransfer(FileTransfer):
    """Counts each batch."""

    __slots__ = ("slots",)

    slots: StreamSlots

    def send(self) -> bool:
        before = self.sent
        try:
            return super().send()
        finally:
            self.slots.count_sent(self.sent - before)


class CountedFastPathProtocol(FastPathProtocol):
    """Counts the bodies of one connection."""

    __slots__ = ()

    def _write(self, response: RangeResponse) -> int:
        sent = super()._write(response)
        self._responder.stream_slots.count_sent(sent)
        return sent

    def _transfer(self, opened: OpenFile, body: range, sent: int) -> FileTransfer:
        transfer = CountedFileTransfer(self._transport, self._fd, opened, body, sent)
        transfer.slots = self._responder.stream_slots
        return transfer

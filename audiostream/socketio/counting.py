"""Counting of what Socket.IO clients send and are sent, as ``websocket.counting`` does it."""

from __future__ import annotations

from typing import Any

from ..ops.counters import ReportOutcome
from ..websocket.counting import count_command
from ..websocket.rate_limit import REPORT_EVENT
from .session import SocketioSendQueue, SocketioSession


class CountedSendQueue(SocketioSendQueue):
    """Counts the events that one client is sent."""

    def send_text(self, text: str) -> None:
        self._endpoint.counters.frames_sent["socketio"] += 1
        super().send_text(text)


class CountedSession(SocketioSession):
    """Counts the commands and reports of one client, also those that are refused."""

    send_queue_type = CountedSendQueue

    async def handle(self, event: str, data: Any) -> dict[str, Any] | None:
        if self._is_disconnected:
            return None
        counters = self._endpoint.counters
        if event != REPORT_EVENT:
            count_command(counters, "socketio", event)
            return await super().handle(event, data)
        before, sent = self._room.state, self._device.sync.last_sent
        answer = await super().handle(event, data)
        outcome: ReportOutcome = "absorbed"
        if answer is not None and "error" in answer:
            outcome = "refused"
        elif not self._is_disconnected and self._room.state is not before:
            outcome = "applied"
        elif self._device.sync.last_sent is not sent:
            outcome = "corrected"
        counters.reports[outcome] += 1
        return answer

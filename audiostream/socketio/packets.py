"""Socket.IO packets as this server takes them: text alone, and JSON as strict as native frames."""

from __future__ import annotations

from typing import Any

from socketio.packet import CONNECT, EVENT, Packet

from ..protocol.strict_json import encode_json, parse_json

_RESERVED_EVENTS = frozenset({"connect", "disconnect", "connect_error", "*"})


class StrictJson:
    """What python-socketio needs of a JSON module; no NaN, at most ``max_depth`` levels deep."""

    def __init__(self, max_depth: int) -> None:
        self._max_depth = max_depth

    def loads(self, text: str) -> Any:
        """Return any JSON value. Raises ``InvalidMessage``."""
        return parse_json(text, self._max_depth)

    def dumps(self, content: Any, **_: Any) -> str:
        """Return JSON text."""
        return encode_json(content)


def text_packets(max_depth: int) -> type[Packet]:
    """Return the class of packets that clients may send."""

    class TextPacket(Packet):  # type: ignore[misc]
        uses_binary_events = False
        json = StrictJson(max_depth)

        def decode(self, encoded_packet: Any) -> int:
            """Raise ``ValueError`` for what no client sends; return the number of attachments."""
            if not isinstance(encoded_packet, str) or encoded_packet[:1] not in set("0123"):
                raise ValueError("not a packet of text")
            super().decode(encoded_packet)
            if self.packet_type == EVENT:
                is_event = isinstance(self.data, list) and self.data
                is_named = is_event and isinstance(self.data[0], str)
                if not is_named or self.data[0] in _RESERVED_EVENTS:
                    raise ValueError("not an event")
            elif self.packet_type == CONNECT and not isinstance(self.data, dict | None):
                raise ValueError("not a handshake")
            return 0

    return TextPacket

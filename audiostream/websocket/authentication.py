"""The first message of a device whose handshake had no token: ``auth {token, deviceId?, …}``."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ..auth.tickets import Identity
from ..errors import AudiostreamError, InvalidMessage, Unauthorized
from ..ops import optional_packages
from ..protocol.decode import decode_auth_token
from ..protocol.device_labels import DeviceLabels
from ..protocol.envelope import Frame, encode_error, parse_frame
from ..rooms.device import Device
from ..rooms.room import Room
from ..services import Services
from ..settings import Limits
from .close_reasons import CloseConnection, CloseReason
from .device_websocket import DeviceWebSocket
from .send_queue import SendQueue
from .token_expiry import expires_at_ms

AUTH_TIMEOUT = 10.0
"""Seconds that a device has to authenticate: a round trip on the worst of mobile networks."""
AUTH_ATTEMPTS = 5
"""First messages of one device, as long as only their labels are refused."""

FEATURES = (
    *("queue", "transfer", "volume", "history"),
    *(("qr",) if optional_packages.DRAWS_QR_CODES else ()),
)
"""What this server can do beyond the first version of the protocol, by names that stay."""

NO_FRAME = Frame("", {})
"""Stands for a message that could not be read, in the error that answers it."""

Verify = Callable[[str, Frame], Identity]
"""Returns whose token it is. Raises ``CloseConnection`` and sends an error for the frame."""


async def receive_auth(
    socket: DeviceWebSocket, limits: Limits, verify: Verify
) -> tuple[Frame, str, DeviceLabels]:
    """Return the first message, its token, which is good, and its labels.

    Raises ``CloseConnection``: 4408 after AUTH_TIMEOUT, 4401 for anything but a good token, 1009
    for a long message.
    """
    try:
        async with asyncio.timeout(AUTH_TIMEOUT):
            for _ in range(AUTH_ATTEMPTS):
                frame, token = _read_auth(socket.send_queue, await socket.receive_text(), limits)
                verify(token, frame)
                try:
                    return frame, token, DeviceLabels.decode(frame.data)
                except InvalidMessage as error:  # the device may try another label
                    send_error(socket.send_queue, error, frame)
    except TimeoutError:
        raise CloseConnection(CloseReason.AUTH_TIMEOUT, "no auth in time") from None
    raise CloseConnection(CloseReason.AUTH_TIMEOUT, "no auth with labels that can be shown")


def _read_auth(queue: SendQueue, text: str, limits: Limits) -> tuple[Frame, str]:
    if len(text.encode()) > limits.max_auth_frame:
        raise CloseConnection(CloseReason.MESSAGE_TOO_LONG, "too long for a first frame")
    frame = NO_FRAME
    try:
        frame = parse_frame(text, limits.max_json_depth)
        if frame.event != "auth":
            raise Unauthorized('the first frame must be "auth"')
        return frame, decode_auth_token(frame.data)
    except AudiostreamError as error:
        send_error(queue, error, frame)
        raise CloseConnection(CloseReason.TOKEN_REFUSED, str(error)) from None


@contextmanager
def counted(unauthenticated: Counter[str], address: str) -> Iterator[None]:
    """Count an address's connection that has not authenticated. Addresses without one take no
    memory.
    """
    unauthenticated[address] += 1
    try:
        yield
    finally:
        unauthenticated[address] -= 1
        if not unauthenticated[address]:
            del unauthenticated[address]


def send_error(queue: SendQueue, error: AudiostreamError, frame: Frame) -> None:
    """Send the ``error`` event that answers ``frame``, with its id where it has one."""
    frame_id = error.frame_id if isinstance(error, InvalidMessage) else None
    if frame_id is None:
        frame_id = frame.id
    queue.send_text(encode_error(error, frame.event or None, frame_id))


def authenticated_data(
    services: Services, identity: Identity, room: Room, device: Device
) -> dict[str, Any]:
    """Return the data of the ``authenticated`` event.

    ``syncTolerance`` is in seconds, ``maxQueue`` in tracks.
    """
    return {
        "userId": identity.user_id,
        "room": room.name,
        "deviceId": device.ref.device_id,
        "expiresAt": expires_at_ms(identity),
        "version": services.version,
        "features": FEATURES,
        "syncTolerance": services.settings.sync_tolerance,
        "maxQueue": services.settings.limits.max_queue,
    }

"""Bytes of files on their way to clients that take their time.

Here: ``Shipment``, which sends by ``sendfile`` what the system takes, ``WriteWatch``, which tells
when it takes more, ``StallWatch``, which ends what nobody takes, ``Listeners``, who has which
stream, and ``disconnect``, the one way to end a connection while something is sent on it. Not here:
which bytes of which file, and what follows them (``shortcut``, ``streaming``).
"""

from __future__ import annotations

import asyncio
import errno
import logging
import math
import os
import select
import socket
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Hashable
from contextlib import suppress
from typing import Final, cast

from .open_files import OpenFile, free_descriptors
from .readahead import READ_AT_ONCE, is_in_memory

LOG = logging.getLogger(__name__)

MOST_AT_ONCE: Final = 2 * 1024 * 1024
"""Bytes of a file that are sent before others have their turn."""
TOLD_AT_ONCE: Final = 16
"""Connections that may go on before others have their turn."""
LOOKED_AT_ONCE: Final = 256 * 1024
"""Bytes that are known to be in memory when they are sent."""
LOOK_EVERY: Final = 1.0
"""Seconds between two looks at what a client has taken, and at how many descriptors are left."""
STALLED_AFTER: Final = 5.0
"""Seconds without a byte taken after which a listener may be cut for another one.

Who plays takes what is sent in gulps: its system says only that a segment's worth of room has come
free, which at 16 kB/s and on a loopback's segments of 64 KiB is every 4 s.
"""
SPARE_DESCRIPTORS: Final = 16
"""Descriptors that stay free for those who come, as long as somebody holds one for nothing."""
ENDS_WITHIN: Final = 1.0
"""Seconds for which a new stream waits until the one that was cut for it is gone."""

# asyncio waits for a connection on which it runs sendfile in ways of its own: it learns of an end
# in the next turn of its loop, its caller in the one after that, and then nothing is left behind.
_TURNS_UNTIL_NOTICED: Final = 3

# A client that left, in all the ways in which the system says so.
GONE: Final = frozenset(
    {
        errno.EPIPE,
        errno.ECONNRESET,
        errno.ECONNABORTED,
        errno.ENOTCONN,
        errno.ETIMEDOUT,
        errno.EHOSTUNREACH,
        errno.ENETUNREACH,
    }
)

_NO_LINGERING: Final = struct.pack("ii", 1, 0)  # struct linger of socket(7)

_TCP_INFO_SIZE: Final = 256
_BYTES_ACKED: Final = struct.Struct("=Q")
_BYTES_ACKED_AT: Final = 120


def disconnect(transport: asyncio.BaseTransport) -> None:
    """End a connection from our side, whatever is being sent on it. Does not wait for it.

    ``transport.abort()`` alone closes the descriptor of a connection on which ``loop.sendfile``
    may still wait, and leaves asyncio's note of it behind: the next connection gets the same
    number, and hangs; who waits for that sendfile waits for ever. So the connection is shut down
    first, which ends sendfile by an error of its own, and closed when that has been noticed.
    """
    connection = transport.get_extra_info("socket")
    if connection is None or cast(asyncio.Transport, transport).get_write_buffer_size():
        _abort_in(0, transport)  # sendfile only begins where nothing waits to be written
        return
    with suppress(OSError):  # it has ended already
        connection.shutdown(socket.SHUT_RDWR)
    _abort_in(_TURNS_UNTIL_NOTICED, transport)


def drop(transport: asyncio.BaseTransport) -> None:
    """The same, and what the system still keeps for the client is not sent any more."""
    connection = transport.get_extra_info("socket")
    if connection is not None:
        with suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGERING)
    disconnect(transport)


def _abort_in(turns: int, transport: asyncio.BaseTransport) -> None:
    """After so many turns of the loop."""
    if turns:
        asyncio.get_running_loop().call_soon(_abort_in, turns - 1, transport)
    else:
        cast(asyncio.Transport, transport).abort()


class Shipment:
    """A part of a file on its way to one client.

    ``sent`` is in bytes, and begins with what went before; ``failure`` is the ``errno`` of what
    ended it, None where nothing did. ``cold`` are bytes that have to be read from the disk before
    it can go on: whoever sees that reads them, and says ``was_read``.
    """

    __slots__ = (
        "_body",
        "_connection",
        "_read_to",
        "_transport",
        "cold",
        "failure",
        "opened",
        "sent",
    )

    def __init__(
        self,
        transport: asyncio.Transport,
        connection: int,
        opened: OpenFile,
        body: range,
        sent: int = 0,
    ) -> None:
        self.opened = opened
        self.sent = sent
        self.failure: int | None = None
        self.cold = range(0)
        self._read_to = 0
        self._transport = transport
        self._connection = connection
        self._body = body

    @property
    def is_whole(self) -> bool:
        """Whether nothing is left to send."""
        return self.sent == len(self._body)

    def send(self) -> bool:
        """Send what the system takes, and say whether there is anything to wait for."""
        if self._transport.get_write_buffer_size():  # what comes first, and is asyncio's to send
            return True
        most = self.sent + MOST_AT_ONCE
        while self.sent < most and not self.is_whole:
            part = self._in_memory()
            if not part:
                return True
            sent = self._send(part)
            if sent is None:
                return True
            if not sent:
                return False
            self.sent += sent
            if sent < len(part):
                return True
        return not self.is_whole

    def was_read(self) -> None:
        """What was cold is in memory now, or nothing can be done about it."""
        self._read_to, self.cold = self.cold.stop, range(0)

    def fail(self, error: BaseException) -> None:
        """What was cold cannot be read."""
        self.failure = error.errno if isinstance(error, OSError) else None
        LOG.warning("stopped sending %r: %r", self.opened.path, error)

    def _in_memory(self) -> range:
        """The next bytes to send; none, where they are on the disk alone."""
        start, stop = self._body.start + self.sent, self._body.stop
        read_to, self._read_to = self._read_to, 0
        if start < read_to:
            return range(start, read_to)
        part = range(start, min(start + LOOKED_AT_ONCE, stop))
        if is_in_memory(self.opened.file, part):
            return part
        self.cold = range(start, min(start + READ_AT_ONCE, stop))
        return range(0)

    def _send(self, part: range) -> int | None:
        """How many bytes the system took; 0 after a failure, None where it takes nothing now."""
        try:
            sent = os.sendfile(self._connection, self.opened.file.fileno(), part.start, len(part))
        except BlockingIOError:
            return None
        except OSError as error:
            self.failure = error.errno
            if error.errno not in GONE:
                LOG.warning("stopped sending %r: %s", self.opened.path, error.strerror)
            return 0
        if not sent:
            missing = len(self._body) - self.sent
            LOG.warning("%r ended %d bytes early", self.opened.path, missing)
        return sent


class WriteWatch:
    """Tells when connections can be written to again. For one event loop; only Linux has it.

    asyncio lets nobody wait for a descriptor that a transport has. An ``epoll`` of our own may,
    takes no second descriptor for it, and the loop waits for it as for any other (epoll(7)).
    """

    def __init__(self) -> None:
        self._told: dict[int, Callable[[], None]] = {}
        if sys.platform == "linux":
            self._epoll = select.epoll()
            asyncio.get_running_loop().add_reader(self._epoll.fileno(), self._tell)

    def once(self, connection: int, told: Callable[[], None]) -> None:
        """Call ``told`` as soon as ``connection`` can be written to, or is broken."""
        wanted = select.EPOLLOUT | select.EPOLLONESHOT
        if connection in self._told:
            self._epoll.modify(connection, wanted)
        else:
            self._epoll.register(connection, wanted)
        self._told[connection] = told

    def forget(self, connection: int) -> None:
        """Before a connection is closed: its number may soon be another's."""
        if self._told.pop(connection, None) is not None:
            self._epoll.unregister(connection)

    def close(self) -> None:
        """Tell nobody any more. Connections may still end after this."""
        self._told.clear()
        if sys.platform == "linux":
            asyncio.get_running_loop().remove_reader(self._epoll.fileno())
            self._epoll.close()

    def _tell(self) -> None:
        for connection, _ in self._epoll.poll(0, TOLD_AT_ONCE):
            self._told[connection]()


class StallWatch:
    """Cuts a connection whose client takes no byte for ``patience`` seconds, until stopped.

    What the client has taken is what its TCP has acknowledged; where the system does not tell, or
    with None for ``patience``, nobody is cut. ``stalled_since`` is in seconds of
    ``time.monotonic``, infinity while it is not the client for whom all wait.
    """

    __slots__ = ("_next_look", "_on_stop", "_patience", "_taken", "_transport", "stalled_since")

    def __init__(
        self,
        transport: asyncio.WriteTransport,
        patience: float | None,
        *,
        on_stop: Callable[[StallWatch], None] | None = None,
    ) -> None:
        self.stalled_since = math.inf
        self._transport = transport
        self._patience = patience
        self._on_stop = on_stop
        self._taken: int | None = -1
        self._next_look: asyncio.TimerHandle | None = None
        self.resume()

    def pause(self) -> None:
        """It is not the client that has to do something now."""
        self.stalled_since = math.inf

    def resume(self) -> None:
        """There is something to take again."""
        self.stalled_since = time.monotonic()
        if self._next_look is None:
            self._look_later()

    def stop(self) -> None:
        """All has been taken, or given up."""
        if self._next_look is not None:
            self._next_look.cancel()
            self._next_look = None
        self._patience = None
        on_stop, self._on_stop = self._on_stop, None
        if on_stop is not None:
            on_stop(self)

    def cut(self, end: Callable[[asyncio.BaseTransport], None] = disconnect) -> None:
        """End the connection."""
        self.stalled_since = math.inf  # nobody else needs to
        end(self._transport)

    def _look_later(self) -> None:
        if self._patience is not None:
            wait = min(self._patience / 4, LOOK_EVERY)
            self._next_look = asyncio.get_running_loop().call_later(wait, self._look)

    def _look(self) -> None:
        taken, now = _acknowledged(self._transport.get_extra_info("socket")), time.monotonic()
        if taken is None:
            self.pause()
            return
        if taken != self._taken:
            self._taken = taken
            if self.stalled_since < math.inf:
                self.stalled_since = now
        elif self._patience is not None and now - self.stalled_since >= self._patience:
            LOG.info("cut a listener that stopped taking bytes")
            self.cut()
            return
        self._look_later()


class Listeners:
    """Who has a stream, each with its connection: all can be counted, and ended from our side.

    ``counts`` is kept up to date for others, by listener; ``patience`` is in seconds. For one event
    loop.
    """

    def __init__(self, counts: Counter[Hashable], patience: float | None) -> None:
        self._counts = counts
        self._patience = patience
        self._streams: dict[StallWatch, Hashable] = {}
        self._awaited: dict[StallWatch, asyncio.Event] = {}  # whose end somebody waits for
        self._next_look: asyncio.TimerHandle | None = None

    def begin(self, listener: Hashable, transport: asyncio.WriteTransport) -> StallWatch:
        """One stream more, until its watch is stopped."""
        watch = StallWatch(transport, self._patience, on_stop=self._end)
        self._streams[watch] = listener
        self._counts[listener] += 1
        if self._next_look is None:
            self._look_later()
        return watch

    def cut_all_of(self, listeners: Collection[Hashable]) -> None:
        """End the streams of some listeners, wherever they are. Does not wait for it.

        The system keeps megabytes for a slow client, minutes of music: these go too.
        """
        for watch, listener in tuple(self._streams.items()):
            if listener in listeners:
                watch.cut(drop)

    async def make_room(self, listener: Hashable = None) -> bool:
        """End one stream, of that listener or of anybody, and say whether one is gone.

        It is the one of which nothing has been taken for longest, ``STALLED_AFTER`` at least.
        """
        stalled = self._stalled(listener)
        if not stalled:
            return False
        LOG.info("cut a listener that stopped taking bytes, for one that came")
        oldest = stalled[0]
        gone = self._awaited.setdefault(oldest, asyncio.Event())
        oldest.cut()
        with suppress(TimeoutError):
            async with asyncio.timeout(ENDS_WITHIN):
                await gone.wait()
        return oldest not in self._streams

    def _stalled(self, listener: Hashable = None) -> list[StallWatch]:
        """Streams of which nothing is taken, the oldest first."""
        latest = time.monotonic() - STALLED_AFTER
        stalled = [
            watch
            for watch, whose in self._streams.items()
            if watch.stalled_since <= latest and listener in (None, whose)
        ]
        return sorted(stalled, key=lambda watch: watch.stalled_since)

    def _end(self, watch: StallWatch) -> None:
        listener = self._streams.pop(watch)
        self._counts[listener] -= 1
        if not self._counts[listener]:
            del self._counts[listener]  # who has none is not kept
        gone = self._awaited.pop(watch, None)
        if gone is not None:
            gone.set()

    def _look_later(self) -> None:
        self._next_look = asyncio.get_running_loop().call_later(LOOK_EVERY, self._look)

    def _look(self) -> None:
        """Give back descriptors that are held for nothing, before somebody has to wait for one."""
        self._next_look = None
        if not self._streams:
            return
        wanted = max(SPARE_DESCRIPTORS - free_descriptors(), 0)
        for watch in self._stalled()[: -(-wanted // 2)]:  # each has a connection and a file
            LOG.info("cut a listener that stopped taking bytes: no more files may be open")
            watch.cut()
        self._look_later()


def _acknowledged(connection: socket.socket | None) -> int | None:
    """Bytes that the other side has acknowledged: ``tcpi_bytes_acked`` of Linux's TCP_INFO."""
    if connection is None or not hasattr(socket, "TCP_INFO") or sys.platform != "linux":
        return None
    try:
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_SIZE)
    except OSError:
        return None
    return int(_BYTES_ACKED.unpack_from(info, _BYTES_ACKED_AT)[0]) if len(info) >= 128 else None

"""``RangeResponder``: authorize a plain range request and compose its answer."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Hashable
from typing import Final, NamedTuple

from aiohttp import web

from ...auth.credentials import authenticate_stream
from ...errors import AudiostreamError
from ...ops.half_close import READ_BUFFER_SIZE
from ...services import SERVICES
from ..ranges import NO_RANGE, ByteRange, ByteRangeSpec, body_range, if_range_matches, resolve_range
from ..readahead import read_cached
from ..route import ClientAddress
from ..x_accel import is_sendable
from .open_files import OpenFile, OpenFileCache
from .request import MAX_HEAD, RangeRequest
from .templates import header_templates, redirect_head
from .transfer import FileTransfer
from .writability import WritabilityWatcher

COPY_LIMIT: Final = 64 * 1024
"""Bytes of a body up to which one read and one write cost less than a write and a ``sendfile``."""

_SENDFILE_UNSUPPORTED: Final = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})
"""What a file system without sendfile fails with. Others are of one client or one file."""


class RangeResponse(NamedTuple):
    """The answer to one request, good until the responder composes the next.

    ``data`` begins with a head of ``head_size`` bytes; where there is more of it, that is the body.
    ``body`` has the positions of the body's bytes in the file.
    """

    status: int
    data: memoryview
    head_size: int
    body: range


class RangeResponder:
    """What the connections of one application share, for one event loop."""

    def __init__(self, app: web.Application) -> None:
        services = app[SERVICES]
        self.new_transfer: Callable[..., FileTransfer] = FileTransfer
        self.files = OpenFileCache(services.file_executor)
        self.proxies = services.proxies
        self.read_buffer = memoryview(bytearray(READ_BUFFER_SIZE))
        self.session_cookie = services.session_cookie
        self.stream_slots = services.stream_slots
        self.watcher = WritabilityWatcher()
        self.x_accel = services.settings.x_accel or ""
        self._can_sendfile = True
        self._has_room = services.stream_slots.has_room
        self._library = services.library
        self._is_public = services.settings.public_streams
        self._tokens = services.tokens
        self._wall_clock = services.wall_clock
        # Allocated once: fresh memory costs more than filling it.
        self._write_buffer = memoryview(bytearray(COPY_LIMIT + MAX_HEAD))

    def locate(self, request: RangeRequest) -> tuple[Hashable, str] | None:
        """Return who counts for one more stream, and the file's path; None where it is refused."""
        try:
            user_id = authenticate_stream(
                self._tokens,
                request.track_id,
                self._wall_clock(),
                authorization=request.authorization,
                ticket=request.ticket,
                cookie=request.cookie,
                is_public=self._is_public,
            )
            path = self._library.find(request.track_id, user_id).path
        except AudiostreamError:
            return None
        owner: Hashable = ClientAddress(request.client.address) if user_id is None else user_id
        if not self._has_room(owner):
            return None
        return owner, os.fspath(path)

    def respond(
        self, request: RangeRequest, spec: ByteRangeSpec, opened: OpenFile
    ) -> RangeResponse | None:
        """Compose the answer to an authorized request; None where aiohttp has to answer it."""
        now = time.time()
        templates = header_templates(opened, int(now))
        if_range = request.if_range
        if if_range is not None and not if_range_matches(if_range, templates.validators, now):
            spec = NO_RANGE
        size = opened.status.st_size
        decision = resolve_range(spec, size)
        body = body_range(decision, size)
        if not body:
            return None
        length, head = len(body), templates.whole
        if isinstance(decision, ByteRange):
            head = templates.partial % (body.start, body.stop - 1, length)
        if length > COPY_LIMIT:
            if not self._can_sendfile:
                return None
            return RangeResponse(decision.status, memoryview(head), len(head), body)
        data = self._write_buffer[: len(head) + length]
        data[: len(head)] = head
        if not read_cached(opened.file, body.start, data[len(head) :]):
            return None
        return RangeResponse(decision.status, data, len(head), body)

    def redirect(
        self, request: RangeRequest, spec: ByteRangeSpec, opened: OpenFile
    ) -> RangeResponse | None:
        """Compose the answer that has nginx send the bytes; None where aiohttp has to answer."""
        now = time.time()
        if not (request.is_plain and is_sendable(spec, opened.status, now)):
            return None
        head = redirect_head(opened, self.x_accel, self._library.root, int(now))
        return None if head is None else RangeResponse(200, memoryview(head), len(head), range(0))

    def note_failure(self, failure: int | None) -> None:
        """Leave large bodies to aiohttp, which can copy, once the system refuses ``sendfile``."""
        if failure in _SENDFILE_UNSUPPORTED:
            self._can_sendfile = False

    def close(self) -> None:
        """Release everything, when all connections have ended."""
        self.files.close()
        self.watcher.close()

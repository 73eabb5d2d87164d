"""Ask Redis: each request is answered within ANSWER_TIMEOUT, or ``Unavailable`` is raised.

A request is sent again only where it was not carried out, or where carrying it out twice is the
same as once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Final

from redis import exceptions

from ..errors import Unavailable
from .redis_address import describe
from .redis_nodes import RedisNode, RedisNodes
from .redis_requests import Request
from .shared_store import ANSWER_TIMEOUT
from .throttled_warning import ThrottledWarning

FIRST_PAUSE: Final = 0.02
"""Seconds before a command is sent again; each further pause is twice as long."""
LONGEST_PAUSE: Final = 0.4
"""Seconds."""
REQUESTS_AT_ONCE: Final = 500
"""Requests of one pipeline: packing them blocks the event loop for a few milliseconds."""
_ERROR_CODES: Final = (
    (exceptions.MovedError, "MOVED"),
    (exceptions.AskError, "ASK"),
    (exceptions.TryAgainError, "TRYAGAIN"),
    (exceptions.MasterDownError, "MASTERDOWN"),
    (exceptions.ClusterDownError, "CLUSTERDOWN"),
    (exceptions.ReadOnlyError, "READONLY"),
)
"""Older versions of the package leave the code in the text in place of raising these."""
_PASSING: Final = {"CLUSTERDOWN", "MASTERDOWN", "TRYAGAIN"}
"""Errors of requests that were not carried out, while slots move or a node is replaced."""

Send = Callable[[Any], Awaitable[Any]]
"""Asks a client of the package, or something that has its ``execute_command``."""


class RedisConnection:
    """The connections of a process to one Redis or Redis Cluster."""

    def __init__(self, url: str) -> None:
        """Raises ``ValueError`` and ``TypeError`` for a URL that cannot be used."""
        self.url = url
        self.nodes = RedisNodes(url)
        self._warn = ThrottledWarning(time.monotonic)
        self._is_closed = False

    async def ask(self, request: Request) -> Any:
        """Return the answer to a request. Raises ``Unavailable``."""
        return await self._ask(
            request.key, lambda redis: _send_request(redis, request), request.is_repeatable
        )

    async def ask_all(self, requests: Sequence[Request]) -> list[Any]:
        """Return the answers to several requests, in their order. Raises ``Unavailable``.

        Those for one node are one round trip.
        """
        numbers_of: dict[RedisNode, list[int]] = {}
        for number, request in enumerate(requests):
            numbers_of.setdefault(self.nodes.of(request.key), []).append(number)
        parts = [
            numbers[first : first + REQUESTS_AT_ONCE]
            for numbers in numbers_of.values()
            for first in range(0, len(numbers), REQUESTS_AT_ONCE)
        ]
        answers: list[Any] = [None] * len(requests)

        async def ask_part(numbers: list[int]) -> None:
            found = await self._ask_part([requests[number] for number in numbers])
            for number, answer in zip(numbers, found, strict=True):
                answers[number] = answer

        done = await asyncio.gather(*map(ask_part, parts), return_exceptions=True)
        for failure in done:
            if failure is not None:
                raise failure
        return answers

    async def close(self) -> None:
        """Close all connections; requests that are under way or come later are unavailable."""
        self._is_closed = True
        await self.nodes.close()

    async def _ask_part(self, requests: Sequence[Request]) -> list[Any]:
        answers: list[Any] = await self._ask(
            requests[0].key,
            lambda redis: _send_pipeline(redis, requests),
            all(request.is_repeatable for request in requests),
        )
        return [
            # The error of one is that its key has moved, or that its script is not known yet.
            await self.ask(request) if isinstance(answer, exceptions.ResponseError) else answer
            for request, answer in zip(requests, answers, strict=True)
        ]

    async def _ask(self, key: str, send: Send, is_repeatable: bool) -> Any:
        if self._is_closed:
            raise Unavailable("the shared store is closed")
        failures: list[Exception] = []
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT):
                return await self._send(key, send, is_repeatable, failures)
        except TimeoutError:
            reason = failures[-1] if failures else f"no answer within {ANSWER_TIMEOUT:g} s"
            raise self._unavailable(str(reason)) from None
        except (exceptions.RedisError, OSError) as error:
            raise self._unavailable(str(error)) from None

    async def _send(
        self, key: str, send: Send, is_repeatable: bool, failures: list[Exception]
    ) -> Any:
        """Send a request until it is answered; raise errors that waiting does not help.

        Errors that it waited for to pass are added to ``failures``.
        """
        pause, node, code = FIRST_PAUSE, self.nodes.of(key), ""
        while True:
            is_redirected = bool(code)
            try:
                return await _send_to(node, send, is_asking=code == "ASK")
            except exceptions.ResponseError as error:
                code = _code(error)
                if code in ("MOVED", "ASK"):
                    node = self._named_node(node, error)
                    if code == "MOVED":
                        await self._reload_slots()
                    if not is_redirected:
                        continue
                elif code == "READONLY":
                    node.reconnect()  # another server may have taken over its address
                elif code not in _PASSING:
                    raise
                failures.append(error)
            except (exceptions.ConnectionError, exceptions.TimeoutError, OSError) as error:
                is_loading = isinstance(error, exceptions.BusyLoadingError)
                is_refused = isinstance(error, exceptions.AuthenticationError)
                if self._is_closed or is_refused or not (is_repeatable or is_loading):
                    raise
                failures.append(error)
            await asyncio.sleep(pause)
            pause, code = min(2 * pause, LONGEST_PAUSE), ""
            await self._reload_slots()
            node = self.nodes.of(key)

    def _named_node(self, asked: RedisNode, error: exceptions.ResponseError) -> RedisNode:
        """Return the node that "MOVED 3999 host:port" names; without a host that of ``asked``."""
        host, _, port = str(error).split()[-1].rpartition(":")
        return self.nodes.at((host or asked.address[0], int(port)))

    async def _reload_slots(self) -> None:
        if self.nodes.is_cluster:
            with suppress(exceptions.RedisError, OSError):  # the request fails, too, and says why
                await self.nodes.load_slots()

    def _unavailable(self, reason: str) -> Unavailable:
        self._warn(f"Redis at {describe(self.url)} cannot be used now: {reason}")
        return Unavailable("the shared store does not answer; try again")


class _Asking:
    """A client of one connection that sends ASKING before each command."""

    def __init__(self, redis: Any) -> None:
        self._redis = redis

    async def execute_command(self, *arguments: Any) -> Any:
        await self._redis.execute_command("ASKING")
        return await self._redis.execute_command(*arguments)


async def _send_to(node: RedisNode, send: Send, is_asking: bool) -> Any:
    """Send a request to a node; ``is_asking``: its slot is just being moved there."""
    async with node.client() as redis:
        if not is_asking:
            return await send(redis)
        async with redis.client() as single:
            return await send(_Asking(single))


async def _send_request(redis: Any, request: Request) -> Any:
    try:
        return await redis.execute_command(*request.arguments)
    except exceptions.NoScriptError:  # the first call since Redis was started
        if request.without_digest is None:
            raise
        return await redis.execute_command(*request.without_digest)


async def _send_pipeline(redis: Any, requests: Sequence[Request]) -> list[Any]:
    """Return the answers to several requests, errors among them, in one round trip."""
    pipeline = redis.pipeline(transaction=False)
    for request in requests:
        pipeline.execute_command(*request.arguments)
    answers: list[Any] = await pipeline.execute(raise_on_error=False)
    return answers


def _code(error: exceptions.ResponseError) -> str:
    """Return the code of an error, like ``MOVED``."""
    text = str(error)
    if "-READONLY " in text:  # in a script of Redis 6
        return "READONLY"
    codes = (code for kind, code in _ERROR_CODES if isinstance(error, kind))
    return next(codes, text.partition(" ")[0])

"""The servers of the tests of Socket.IO."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.conftest import of_own_users
from tests.support.server_process import Launch, ServerProcess

Token = Callable[..., str]


@pytest.fixture
def server(shared_server: ServerProcess) -> ServerProcess:
    return shared_server


@pytest.fixture
def fresh_server(launch: Launch) -> ServerProcess:
    """A server that no test has talked to."""
    server = launch()
    server.wait_for_log("the library has")
    return server


@pytest.fixture
def token(token: Token) -> Token:
    return of_own_users(token)

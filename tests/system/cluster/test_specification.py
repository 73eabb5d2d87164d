"""The specification's walk over three processes: each device and each request meets another one."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest

from tests.support.cluster import Cluster
from tests.system.test_specification import *  # noqa: F403 - its tests, as they are

TESTS = count(1)
"""The numbers of the tests of this process."""


@pytest.fixture
async def launch(cluster: Cluster) -> Callable[[], Cluster]:
    """What stands for the one server of these tests: three, which take turns."""
    for member in cluster.members:
        if not member.is_alive:
            await cluster.restart(member.number)
    return lambda: cluster


@pytest.fixture
def token(token: Callable[..., str], request: pytest.FixtureRequest) -> Callable[..., str]:
    """Access tokens of users that no other test has, as tests share the processes.

    A test about tracks of Ada's has Ada herself.
    """
    if "stream" in request.node.name:
        return token
    number = next(TESTS)
    return lambda user="ada", life=None: token(f"{user}{number}", life)

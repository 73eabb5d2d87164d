"""The server under attack."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.attack_target import AttackTarget, under_attack
from tests.support.server_process import Launch


@pytest.fixture
def target(launch: Launch, media: Path) -> Iterator[AttackTarget]:
    with under_attack(launch, media) as target:
        yield target

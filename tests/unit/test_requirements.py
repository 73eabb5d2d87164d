"""The versions of other packages below which audiostream has known faults are not accepted."""

from __future__ import annotations

from configparser import ConfigParser

import pytest
from packaging.requirements import Requirement

from tests.support.paths import ROOT

SETUP = ROOT / "setup.cfg"


def requirements() -> dict[str, Requirement]:
    parser = ConfigParser(interpolation=None)
    parser.read(SETUP)
    lines = [
        *parser["options"]["install_requires"].splitlines(),
        *(line for text in parser["options.extras_require"].values() for line in text.splitlines()),
    ]
    found = [Requirement(line) for line in lines if line and not line.startswith("%")]
    return {each.name: each for each in found}


@pytest.mark.parametrize(
    ("name", "floor", "too_old"),
    [
        ("python-engineio", "4.13.2", "4.13.1"),
        ("python-socketio", "5.14", "5.13.0"),
        ("aiohttp-cors", "0.8.1", "0.8.0"),
    ],
)
def test_a_package_with_known_faults_is_not_accepted(name: str, floor: str, too_old: str) -> None:
    accepted = requirements()[name].specifier
    assert accepted.contains(floor)
    assert not accepted.contains(too_old)

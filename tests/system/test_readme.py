"""The documents say nothing untrue: tables are complete, links lead somewhere."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from audiostream import Settings, create_app
from audiostream.settings import Limits
from audiostream.websocket import frames, gateway, sockets
from tests.support.paths import ROOT, WEB

DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "SECURITY.md", "CHANGELOG.md")),
    *(ROOT / ".github").glob("*.md"),
    *(ROOT / "audiostream").rglob("*.md"),
    ROOT / "tests/bench/README.md",
]
README = (ROOT / "README.md").read_text()
PROTOCOL = (ROOT / "audiostream/PROTOCOL.md").read_text()
DEPLOYMENT = (ROOT / "audiostream/DEPLOYMENT.md").read_text()


def test_every_route_is_in_the_protocol(settings: Settings) -> None:
    tables = PROTOCOL.replace("`, `", "` `")
    pages = {f"/{path.relative_to(WEB)}" for path in WEB.rglob("*")}
    for route in create_app(settings).router.routes():
        path = route.resource.canonical if route.resource else ""
        if not path.startswith("/api") and path not in pages:
            assert f"{path}`" in tables, path


def test_every_setting_is_in_the_readme() -> None:
    names = re.findall(
        r'"((?:AUDIOSTREAM|JWT|CORS)_[A-Z_]+)"', (ROOT / "audiostream/settings.py").read_text()
    )
    assert len(set(names)) >= 12
    for name in names:
        assert f"`{name}`" in README, name


def test_every_close_code_is_in_the_protocol() -> None:
    for code in (
        gateway.GOING_AWAY,
        frames.UNSUPPORTED_DATA,
        gateway.TOKEN_REFUSED,
        gateway.OTHER_USER,
        gateway.AUTH_TOO_LATE,
        gateway.TOO_MANY,
        gateway.TRY_LATER,
    ):
        assert f"| {code} |" in PROTOCOL
    assert f"within {gateway.AUTH_TIMEOUT:g} s" in PROTOCOL
    assert f"over {Limits().max_frame // 1024} KiB" in PROTOCOL
    assert f"once {sockets.MAX_UNSENT // 1024} KiB wait" in PROTOCOL
    assert f"{gateway.EXPIRY_NOTICE:g} s\nbefore" in PROTOCOL


def test_every_limit_is_in_the_deployment_document_with_its_default() -> None:
    for item in fields(Limits):
        name = f"AUDIOSTREAM_{item.name.upper()}"
        assert f"| `{name}` | {item.default}" in DEPLOYMENT, name


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_in_a_document_leads_to_a_file(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text()):
        if "://" not in target:
            assert (document.parent / target).exists(), target


def test_the_readme_is_read_in_five_minutes() -> None:
    assert len(README.splitlines()) <= 200

"""The documents agree with the code: their tables are complete, their links lead to files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from audiostream import Settings, create_app, errors
from audiostream.api.errors import CODES as STATUS_CODES
from audiostream.library.formats import AUDIO_TYPES
from audiostream.settings import Limits, markdown_tables
from audiostream.websocket import authentication, send_queue, token_expiry
from audiostream.websocket.close_reasons import CloseReason
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


def test_the_tables_of_settings_are_those_that_the_code_generates() -> None:
    documents = [document.read_text() for document in DOCUMENTS]
    for table in markdown_tables():
        assert any(table in document for document in documents), table


def test_the_deployment_guide_lists_every_suffix_that_is_a_track() -> None:
    listed = re.search(r"Every audio file \((.*?)\)", DEPLOYMENT, re.DOTALL)
    assert listed
    assert {f".{suffix}" for suffix in re.findall(r"\w+", listed[1])} == set(AUDIO_TYPES)


def codes() -> set[str]:
    """The codes that clients receive: all but those of a start that fails."""
    kinds, found = [errors.AudiostreamError], set[str]()
    while kinds:
        kind = kinds.pop()
        kinds += kind.__subclasses__()
        found.add(kind.code)
    return found - {errors.SettingsError.code, errors.LibraryError.code}


def test_every_code_of_an_error_is_in_the_protocol() -> None:
    events = re.search(
        r"^`error \{code, message, event\}`:(.*?)`tokenExpiring", PROTOCOL, re.M | re.S
    )
    assert events
    named = set(re.findall("`([a-z_]+)`", events[1])) - {"state"}
    assert named == codes() - {errors.Forbidden.code}
    statuses = PROTOCOL.partition("\nStatuses:")[2].partition("\n\n")[0]
    sockets_alone = {errors.UnknownEvent.code, errors.DeviceNotFound.code}
    assert set(re.findall("`([a-z_]+)`", statuses)) == (
        codes() - sockets_alone | set(STATUS_CODES.values())
    )


def test_the_types_of_client_js_have_every_code_of_an_error_event() -> None:
    refusal = (WEB / "client.d.ts").read_text().partition("interface Refusal {")[2]
    found = set(re.findall('"([a-z_]+)"', refusal.partition(";")[0]))
    assert found == codes() - {errors.Forbidden.code}


def test_every_close_code_and_reason_is_documented() -> None:
    for reason in CloseReason:
        assert f"`{reason.word}`" in DEPLOYMENT, reason
        if reason.code not in (1000, 1006):  # a client's own code, and one that is never sent
            assert re.search(rf"^\|[^|]*\b{reason.code}\b", PROTOCOL, re.MULTILINE), reason
    assert f"within {authentication.AUTH_TIMEOUT:g} s" in PROTOCOL
    assert f"over {Limits().max_frame // 1024} KiB" in PROTOCOL
    assert f"once {send_queue.MAX_UNSENT // 1024} KiB wait" in PROTOCOL
    assert f"{token_expiry.EXPIRY_NOTICE:g} s\nbefore" in PROTOCOL


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_in_a_document_leads_to_a_file(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text()):
        if "://" not in target:
            assert (document.parent / target).exists(), target


def test_the_readme_has_at_most_200_lines() -> None:
    assert len(README.splitlines()) <= 200

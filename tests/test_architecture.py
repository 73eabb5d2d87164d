"""The picture of the house: which file may know of which, and that each has its tests."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "audiostream"
MODULES = {path.stem: path for path in PACKAGE.glob("*.py")}

MAY_IMPORT = {
    "__init__": {"app", "settings"},
    "__main__": {
        "__init__",
        "app",
        "errors",
        "keys",
        "listening_sockets",
        "logs",
        "settings",
        "shortcut",
        "store",
        "systemd",
    },
    "allowance": set(),
    "answers": {"errors", "proxies", "shipments"},
    "app": {
        "allowance",
        "answers",
        "arrivals",
        "clocks",
        "cookies",
        "covers",
        "descriptors",
        "errors",
        "gateway",
        "keeper",
        "keys",
        "library",
        "library_watch",
        "proxies",
        "pages",
        "registry",
        "rest",
        "settings",
        "shipments",
        "socketio_gateway",
        "sockets",
        "store",
        "streaming",
        "tokens",
    },
    "arrivals": set(),
    "bounded_file": set(),
    "client": {"errors"},
    "clocks": set(),
    "codings": set(),
    "cookies": {"proxies", "tokens"},
    "covers": {"answers", "keys", "library", "streaming"},
    "descriptors": set(),
    "durations": {"bounded_file", "id3"},
    "errors": set(),
    "folders": set(),
    "formats": set(),
    "frames": set(),
    "gateway": {
        "allowance",
        "arrivals",
        "errors",
        "frames",
        "keys",
        "lateness",
        "messages",
        "proxies",
        "registry",
        "settings",
        "sockets",
        "tokens",
    },
    "id3": {"bounded_file"},
    "keeper": {"errors", "registry", "store"},
    "keys": {"cookies", "keeper", "library", "library_watch", "registry", "settings", "tokens"},
    "lateness": {"registry"},
    "library": {"errors", "folders", "formats", "manifest", "search", "tag_reader", "tags"},
    "library_watch": {"library", "messages"},
    "listening_sockets": {"errors", "settings"},
    "logs": {"proxies"},
    "manifest": {"folders", "search", "tags"},
    "messages": {"errors"},
    "pages": {"answers"},
    "playback": {"errors", "messages"},
    "proxies": set(),
    "readahead": set(),
    "registry": {"errors", "messages", "playback"},
    "rest": {
        "allowance",
        "answers",
        "codings",
        "errors",
        "keys",
        "library",
        "messages",
        "proxies",
        "registry",
        "tokens",
    },
    "search": {"errors"},
    "settings": {"errors"},
    "shipments": {"descriptors", "readahead"},
    "shortcut": {
        "cookies",
        "descriptors",
        "errors",
        "keys",
        "logs",
        "proxies",
        "readahead",
        "shipments",
        "streaming",
    },
    "sockets": {"arrivals", "frames"},
    "store": {"errors", "playback"},
    "socketio_gateway": {
        "errors",
        "gateway",
        "keys",
        "messages",
        "proxies",
        "registry",
        "sockets",
        "tokens",
    },
    "systemd": set(),
    "tag_reader": {"tags"},
    "tags": set(),
    "tags_worker": {"bounded_file", "durations", "id3", "tags"},
    "streaming": {
        "descriptors",
        "errors",
        "formats",
        "keys",
        "library",
        "proxies",
        "readahead",
        "shipments",
        "tokens",
    },
    "tokens": {"errors"},
}
CORE = {
    "allowance",
    "codings",
    "bounded_file",
    "durations",
    "errors",
    "folders",
    "formats",
    "frames",
    "id3",
    "library",
    "manifest",
    "messages",
    "playback",
    "registry",
    "search",
    "settings",
    "store",
    "tag_reader",
    "tags",
    "tags_worker",
    "tokens",
}
"""Nothing in here knows of aiohttp or asyncio."""
OUTSIDE = {
    "tokens": {"jwt"},
    "tags_worker": {"tinytag"},
    "app": {"aiohttp", "aiohttp_cors"},
    "covers": {"aiohttp", "tinytag"},
    "socketio_gateway": {"aiohttp", "engineio", "socketio"},
}
"""The only modules that import anything outside the standard library, apart from aiohttp."""


def imports(module: str) -> tuple[set[str], set[str]]:
    """What a module imports: (our own modules, top-level names of others)."""
    ours, others = set(), set()
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            others |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level:
            named = [node.module] if node.module else [alias.name for alias in node.names]
            ours |= {name if name in MODULES else "__init__" for name in named}
        elif isinstance(node, ast.ImportFrom) and node.module:
            others.add(node.module.partition(".")[0])
    return ours, others


def test_the_picture_names_every_module() -> None:
    assert MODULES.keys() == MAY_IMPORT.keys()


@pytest.mark.parametrize("module", MAY_IMPORT)
def test_a_module_knows_only_of_those_below_it(module: str) -> None:
    assert imports(module)[0] <= MAY_IMPORT[module]


@pytest.mark.parametrize("module", sorted(CORE))
def test_nothing_in_the_core_imports_aiohttp(module: str) -> None:
    ours, others = imports(module)
    assert not others & {"aiohttp", "asyncio"}
    assert ours <= CORE


@pytest.mark.parametrize("module", MAY_IMPORT)
def test_other_packages_stay_in_their_place(module: str) -> None:
    known = {"aiohttp", "aiohttp_cors", "engineio", "jwt", "socketio", "tinytag"}
    allowed = OUTSIDE.get(module, set() if module in CORE else {"aiohttp"})
    assert imports(module)[1] & known <= allowed


def test_playback_never_awaits_and_never_reads_a_clock() -> None:
    tree = ast.parse(MODULES["playback"].read_text())
    assert not any(isinstance(node, ast.Await | ast.AsyncFunctionDef) for node in ast.walk(tree))
    assert not imports("playback")[1] & {"time", "datetime", "random", "os"}


@pytest.mark.parametrize("module", sorted(set(MAY_IMPORT) - {"__init__"}))
def test_every_module_has_its_tests(module: str) -> None:
    assert (ROOT / "tests" / f"test_{module.strip('_')}.py").is_file()


@pytest.mark.parametrize("module", MAY_IMPORT)
def test_every_module_says_what_lives_in_it_and_what_does_not(module: str) -> None:
    says = " ".join((ast.get_docstring(ast.parse(MODULES[module].read_text())) or "").split())
    assert "Here:" in says
    assert module == "__init__" or "Not here:" in says


def test_the_top_level_is_the_one_that_was_agreed() -> None:
    expected = {
        "audiostream",
        "tests",
        "sample_media",
        "setup.cfg",
        "Makefile",
        "README.md",
        "pyproject.toml",
        "ruff.toml",
        "LICENSE",
        "SECURITY.md",
        "CHANGELOG.md",
    }
    found = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}
    passing = {"build", "media"} | {name for name in found if name.endswith(".egg-info")}
    assert found - passing == expected

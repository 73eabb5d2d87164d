"""RULES.md, the code and the tests refer to the same rules."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PACKAGE = ROOT / "audiostream"
TEXT = (PACKAGE / "playback" / "RULES.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^### (R\d+) (.+?)(?=^### |\Z)", TEXT, re.MULTILINE | re.DOTALL))
REFERENCE = re.compile(r"\bR\d{1,2}\b")


@cache
def list_tests(path: Path) -> tuple[str, ...]:
    """Return the tests of a file, as ``path::Class::name``."""
    functions = ast.FunctionDef | ast.AsyncFunctionDef

    def names(body: list[ast.stmt], prefix: str) -> Iterator[str]:
        for node in body:
            if isinstance(node, ast.ClassDef):
                yield from names(node.body, f"{prefix}::{node.name}")
            elif isinstance(node, functions) and node.name.startswith("test_"):
                yield f"{prefix}::{node.name}"

    tree = ast.parse(path.read_text(encoding="utf-8"))
    return tuple(names(tree.body, path.relative_to(ROOT).as_posix()))


def test_rule_ids_are_consecutive() -> None:
    assert list(SECTIONS) == [f"R{number}" for number in range(1, len(SECTIONS) + 1)]
    assert len(SECTIONS) >= 22


def test_every_rule_that_the_code_refers_to_is_in_the_document() -> None:
    for path in PACKAGE.rglob("*.py"):
        unknown = set(REFERENCE.findall(path.read_text(encoding="utf-8"))) - set(SECTIONS)
        assert not unknown, path


def test_every_rule_that_the_document_refers_to_is_in_the_document() -> None:
    assert set(REFERENCE.findall(TEXT)) <= set(SECTIONS)


@pytest.mark.parametrize("rule", SECTIONS)
def test_rule_has_a_reason_an_example_and_tests(rule: str) -> None:
    for part in ("**Why:**", "**Example:**", "**Tests:**"):
        assert SECTIONS[rule].count(part) == 1, part


@pytest.mark.parametrize("rule", SECTIONS)
def test_every_test_that_a_rule_names_exists(rule: str) -> None:
    patterns = re.findall(r"`(tests/\S+?)`", SECTIONS[rule].partition("**Tests:**")[2])
    assert patterns
    for pattern in patterns:
        path = ROOT / pattern.partition("::")[0]
        assert any(fnmatch(name, pattern) for name in list_tests(path)), pattern


def test_every_rule_that_decides_is_in_the_code() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    missing = set(SECTIONS) - set(REFERENCE.findall(code))
    assert missing <= {"R9", "R10"}  # refused before the rules; nothing in the code names a user

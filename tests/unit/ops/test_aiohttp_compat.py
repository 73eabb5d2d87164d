"""The installed aiohttp has the internals that ``aiohttp_compat`` was checked with."""

from __future__ import annotations

from audiostream.ops.aiohttp_compat import has_request_handler_internals


def test_the_installed_aiohttp_has_the_internals_of_its_request_handler() -> None:
    assert has_request_handler_internals()

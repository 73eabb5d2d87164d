"""The application's keys: one name each, so that nothing overwrites anything when embedded."""

from __future__ import annotations

from aiohttp import web

from audiostream import services as keys


def test_every_key_has_a_name_of_its_own() -> None:
    names = [str(key) for key in vars(keys).values() if isinstance(key, web.AppKey)]
    assert len(set(names)) == len(names) >= 8
    assert all("audiostream_" in name for name in names)

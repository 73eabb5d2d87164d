"""``fast_path``: used where it changes no answer, and nowhere else."""

from __future__ import annotations

import sys
from typing import cast

import pytest
from aiohttp import web
from aiohttp.typedefs import Handler

from audiostream import Settings, create_app
from audiostream.streaming.fastpath import fast_path

SERVER = cast(web.Server, None)
"""No connection is made here."""


@web.middleware
async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    return await handler(request)


async def on_prepare(request: web.Request, response: web.StreamResponse) -> None:
    response.headers["X-Embedder"] = "yes"


async def is_used(app: web.Application) -> bool:
    with fast_path(app, SERVER) as protocols:
        return protocols is not None


@pytest.mark.skipif(sys.platform != "linux", reason="the fast path is for Linux")
async def test_an_application_of_create_app_has_the_fast_path(settings: Settings) -> None:
    assert await is_used(create_app(settings))


async def test_an_application_with_a_middleware_of_its_own_has_none(settings: Settings) -> None:
    app = create_app(settings)
    app.middlewares.append(middleware)
    assert not await is_used(app)


async def test_an_application_with_a_signal_of_its_own_has_none(settings: Settings) -> None:
    app = create_app(settings)
    app.on_response_prepare.append(on_prepare)
    assert not await is_used(app)


async def test_an_application_that_mounts_audiostream_has_none(settings: Settings) -> None:
    outer = web.Application()
    outer.add_subapp("/audio/", create_app(settings))
    assert not await is_used(outer)


async def test_no_other_system_has_the_fast_path(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not await is_used(create_app(settings))

"""Each application has services of its own, under a key that embedders cannot overwrite."""

from __future__ import annotations

from audiostream import Settings, create_app
from audiostream.services import SERVICES


async def test_two_applications_of_one_process_share_no_service(settings: Settings) -> None:
    first, second = (create_app(settings)[SERVICES] for _ in range(2))
    assert first.library is not second.library
    assert first.tokens is not second.tokens
    assert first.registry is not second.registry


def test_the_key_is_named_after_the_package() -> None:
    assert "audiostream_" in str(SERVICES)

"""Files of every supported suffix are listed and streamed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from audiostream.library.formats import AUDIO_TYPES
from tests.conftest import Serve

Token = Callable[..., str]


async def test_a_file_of_every_suffix_is_listed_and_sent_with_its_media_type(
    serve: Serve, media: Path, token: Token
) -> None:
    for suffix in AUDIO_TYPES:
        (media / f"file{suffix}").write_bytes(b"content")
    client = await serve()
    headers = {"Authorization": f"Bearer {token()}"}
    async with client.get("/tracks", headers=headers) as answer:
        tracks = (await answer.json())["tracks"]
    listed = [track for track in tracks if track["title"] == "file"]
    sent = []
    for track in listed:
        async with client.get(track["streamUrl"]) as answer:
            assert answer.status == 200
            sent.append(answer.headers["Content-Type"])
    assert sorted(sent) == sorted(AUDIO_TYPES.values())

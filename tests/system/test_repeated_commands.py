"""A command sent again with its ``commandId``, after its answer was lost, takes effect once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.conftest import Client, Serve
from tests.support.ws_client import Peer, connect

Token = Callable[..., str]


@pytest.fixture
async def client(serve: Serve) -> Client:
    return await serve()


@pytest.fixture
async def devices(client: Client, token: Token) -> AsyncIterator[tuple[Peer, Peer, Peer]]:
    """A phone, the same after it has reconnected, and another device."""
    async with AsyncExitStack() as stack:
        url = str(client.make_url("/ws"))
        yield tuple(  # type: ignore[misc]
            [
                await stack.enter_async_context(connect(client.session, url, token()))
                for _ in range(3)
            ]
        )


async def test_the_second_copy_of_a_command_changes_nothing_and_is_answered_with_the_state(
    devices: tuple[Peer, Peer, Peer],
) -> None:
    phone, again, kitchen = devices
    data = {"trackId": "song", "currentTime": 20, "commandId": "one"}
    first = await phone.ask("playTrack", **data)
    second = await again.frame()  # what all are told
    answer = await again.ask("playTrack", **data, ifRev=first["data"]["rev"] - 1)
    assert (answer["event"], answer["data"]["rev"]) == ("trackPlaying", first["data"]["rev"])
    assert answer["data"]["track"]["id"] == "song"
    assert second["data"]["rev"] == first["data"]["rev"]
    await kitchen.receives("trackPlaying")
    await kitchen.receives_nothing()
    await phone.receives_nothing()


async def test_a_late_copy_of_a_command_does_not_undo_what_was_done_since(
    devices: tuple[Peer, Peer, Peer],
) -> None:
    phone, again, kitchen = devices
    await kitchen.ask("playTrack", trackId="song", currentTime=20)
    for each in (phone, again):
        await each.receives("trackPlaying")
    await again.ask("pauseTrack", trackId="song", commandId="one", ifRev=1)
    await phone.receives("trackPaused")
    await kitchen.receives("trackPaused")
    await kitchen.ask("playTrack", trackId="song")
    await phone.receives("trackPlaying")
    answer = await phone.ask("pauseTrack", trackId="song", commandId="one")
    assert (answer["event"], answer["data"]["isPlaying"]) == ("trackPlaying", True)
    await kitchen.receives_nothing()


async def test_a_command_repeated_over_rest_takes_effect_once(client: Client, token: Token) -> None:
    headers = {"Authorization": f"Bearer {token()}"}
    revs = []
    for _ in range(2):
        data = {"currentTime": 5, "commandId": "one"}
        async with client.post("/tracks/play/song", json=data, headers=headers) as answer:
            revs.append((await answer.json())["rev"])
    assert revs == [1, 1]


async def test_a_command_that_was_refused_may_be_sent_again(
    devices: tuple[Peer, Peer, Peer],
) -> None:
    phone, _, _ = devices
    refused = await phone.ask("playTrack", trackId="song", commandId="one", ifRev=7)
    assert refused["data"]["code"] == "conflict"
    taken = await phone.ask("playTrack", trackId="song", commandId="one", ifRev=0)
    assert taken["data"]["rev"] == 1


@pytest.mark.parametrize("command_id", ["", "x" * 65, 7, ["one"]])
async def test_a_command_id_of_another_kind_or_length_is_refused_by_its_name(
    devices: tuple[Peer, Peer, Peer], command_id: Any
) -> None:
    answer = await devices[0].ask("playTrack", trackId="song", commandId=command_id)
    assert answer["data"]["code"] == "invalid_message"
    assert "commandId" in answer["data"]["message"]

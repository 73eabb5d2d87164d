"""Publications as JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from audiostream.playback.history import PlayedTrack
from audiostream.playback.model import State, StopPoint
from audiostream.playback.queue import Queue
from audiostream.storage.redis_publications import decode_publication, encode_publication
from audiostream.storage.shared_store import Change, Publication
from tests.support.shared_values import publications

CHANGE = Change(
    user_id="ada",
    process_id="p",
    change_id="1",
    expected_version=0,
    version=1,
    state=State(queue=Queue(("song",) * 1000, 0)),
    writes_queue=False,
    stop_points=(StopPoint("song", 1.0, 2.0),),
    played=(PlayedTrack("song", 2.0),),
)
PUBLICATION = Publication(user_id="ada", process_id="p", change=CHANGE)


@given(publications())
def test_a_publication_is_received_as_it_was_sent(publication: Publication) -> None:
    text = encode_publication(publication)
    assert repr(decode_publication(text.encode())) == repr(publication)


def test_a_queue_that_did_not_change_is_not_sent() -> None:
    text = encode_publication(PUBLICATION)
    assert len(text) < 1000
    received = decode_publication(text).change
    assert received is not None
    assert received.state.queue == Queue((), 0)
    assert not received.stop_points
    assert not received.played


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("user_id",), None),
        (("process_id",), 1),
        (("change",), []),
        (("change", "version"), None),
        (("change", "version"), "1"),
        (("change", "state"), None),
        (("change", "track_ids"), [1]),
        (("devices",), []),
        (("devices",), {"rows": [{}]}),
        (("devices",), {"removed": ["1"]}),
        (("devices",), {"frames": [[1]]}),
        (("devices",), {"checked": 1}),
    ],
)
def test_a_publication_that_this_version_does_not_understand_is_refused(
    path: tuple[str, ...], value: Any
) -> None:
    content = json.loads(encode_publication(PUBLICATION))
    inner = content
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    with pytest.raises(ValueError, match=r".+"):
        decode_publication(json.dumps(content))


def test_a_publication_of_a_later_version_is_read_as_far_as_it_is_known() -> None:
    content = json.loads(encode_publication(PUBLICATION))
    content["mood"] = content["change"]["mood"] = {}
    assert decode_publication(json.dumps(content)) == decode_publication(
        encode_publication(PUBLICATION)
    )

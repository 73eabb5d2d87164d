"""What holds for any input, and how bytes become input. Shared by Hypothesis and atheris."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping

from audiostream.errors import AudiostreamError
from audiostream.playback.commands import (
    MAX_RATE,
    MIN_RATE,
    PlayTrack,
    QueueCommand,
    Report,
    SetQueue,
    SetState,
    TransferPlayback,
)
from audiostream.protocol.decode import Command, GetCurrentState, decode_command, decode_set_state
from audiostream.protocol.decode_devices import (
    DeviceUpdate,
    SetVolume,
    decode_device_update,
    decode_set_volume,
    decode_transfer,
)
from audiostream.protocol.decode_queue import GetQueue
from audiostream.protocol.device_labels import DeviceLabels
from audiostream.protocol.envelope import encode_error, encode_frame, parse_frame
from audiostream.streaming.ranges import (
    ByteRange,
    Decision,
    NotModified,
    PreconditionFailed,
    RangeNotSatisfiable,
    Validators,
    WholeFile,
    decide,
)

FIELDS = (
    "If-Match",
    "If-None-Match",
    "If-Modified-Since",
    "If-Unmodified-Since",
    "If-Range",
    "Range",
)
SIZES = (0, 1, 1000, 2**40)
VALIDATORS = Validators('"v1"', 1_700_000_000)
NOW = 1_700_000_060.0


def check_message(text: str) -> None:
    """Read ``text`` as a frame; nothing but an AudiostreamError may be raised."""
    try:
        frame = parse_frame(text)
    except AudiostreamError:
        return
    answer = json.loads(encode_frame("answer", {}, frame.id))
    assert answer.get("id") == frame.id
    for read in (
        lambda: decode_command(frame.event, frame.data),
        lambda: decode_set_state(frame.data),
        lambda: decode_transfer(frame.data),
        lambda: decode_set_volume(frame.data),
        lambda: decode_device_update(frame.data),
        lambda: DeviceLabels.decode(frame.data),
    ):
        try:
            understood = read()
        except AudiostreamError as error:
            json.loads(encode_error(error, frame.event, frame.id))
        else:
            _check_understood(understood)


def _check_understood(
    understood: Command | TransferPlayback | SetVolume | DeviceUpdate | DeviceLabels,
) -> None:
    if isinstance(understood, Report | SetVolume | DeviceUpdate):
        volume, muted = understood.volume, understood.muted
        assert volume is None or (isinstance(volume, float) and 0.0 <= volume <= 1.0)
        assert muted is None or type(muted) is bool
    if isinstance(understood, SetVolume | DeviceUpdate):
        assert understood.if_rev is None or type(understood.if_rev) is int
        return
    if isinstance(understood, TransferPlayback):
        assert understood.device_id
        return
    if isinstance(understood, DeviceLabels):
        labels = (understood.device_id, understood.device_name)
        assert all(label is None or 0 < len(label) <= 128 for label in labels)
        return
    if isinstance(understood, GetCurrentState | GetQueue):
        return
    if isinstance(understood, QueueCommand):
        if isinstance(understood, SetQueue):
            assert all(isinstance(each, str) and each for each in understood.track_ids)
        assert understood.if_rev is None or type(understood.if_rev) is int
        return
    assert understood.track_id
    if understood.position is not None:
        assert isinstance(understood.position, float)
        assert 0 <= understood.position < math.inf
    assert understood.if_rev is None or type(understood.if_rev) is int
    if isinstance(understood, PlayTrack):
        assert type(understood.resume) is bool
    if isinstance(understood, Report | SetState):
        rate = understood.playback_rate
        assert rate is None or MIN_RATE <= rate <= MAX_RATE


def check_decision(method: str, fields: Mapping[str, str], size: int) -> Decision:
    """Decide; nothing may be raised, and the decision must have its reason in the fields."""
    decision = decide(method, fields, VALIDATORS, size, NOW)
    match decision:
        case ByteRange(start, stop):
            assert 0 <= start < stop <= size
            assert (method, "Range" in fields) == ("GET", True)
        case RangeNotSatisfiable():
            assert (method, "Range" in fields) == ("GET", True)
        case NotModified():
            assert fields.keys() & {"If-None-Match", "If-Modified-Since"}
        case PreconditionFailed():
            assert fields.keys() & {"If-Match", "If-Unmodified-Since"}
        case _:
            assert decision == WholeFile()
    bare = {name: fields[name] for name in fields if name != "Range"}
    without = decide(method, bare, VALIDATORS, size, NOW)
    has_range = isinstance(decision, ByteRange | RangeNotSatisfiable)
    assert without == (WholeFile() if has_range else decision)
    return decision


def message_of(content: bytes) -> None:
    """The bytes of a text frame, as the WebSocket hands them on."""
    check_message(content.decode(errors="replace"))


def decision_of(content: bytes) -> None:
    """A byte for the method, one for the size, then a field a line, in the order of ``FIELDS``."""
    method = "HEAD" if content[:1] == b"H" else "GET"
    size = SIZES[content[1] % len(SIZES)] if len(content) > 1 else 0
    lines = content[2:].decode("latin-1").split("\n")
    fields = {name: line for name, line in zip(FIELDS, lines, strict=False) if line}
    check_decision(method, fields, size)


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    "messages": message_of,
    "ranges": decision_of,
}

SEEDS: Mapping[str, tuple[bytes, ...]] = {
    "messages": (
        b'{"event":"playTrack","data":{"trackId":"song","currentTime":1.5,"resume":true},"id":1}',
        b'{"event":"pauseTrack","data":{"trackId":"song","currentTime":1e400,"ifRev":3},"id":"a"}',
        b'{"event":"updateStreaming","data":{"trackId":"song","currentTime":0,"isPlaying":true,'
        b'"playbackRate":0.0625,"ended":true,"volume":0.5,"muted":false},"id":1.5}',
        b'{"event":"transferPlayback","data":{"deviceId":"kiosk","play":true,"ifRev":3}}',
        b'{"event":"setVolume","data":{"deviceId":"kiosk","volume":1e400,"muted":null}}',
        b'{"event":"deviceUpdate","data":{"deviceName":"\u202e","volume":1},"id":2}',
        b'{"event":"getCurrentState"}',
        b'{"event":"auth","data":{"token":"a.b.c","deviceId":"kiosk","deviceName":"\\ud800"}}',
        b'{"event":"x","data":{"a":[[[NaN,-Infinity]]]},"id":true}',
    ),
    "ranges": (
        b'G\x02"v1", W/"v2"\n*\n\n\n\nbytes=0-499',
        b'G\x02\n"v2"\n\n\n"v1"\nbytes=-500',
        b"H\x02\n\nTue, 14 Nov 2023 22:13:20 GMT\n\n\nbytes=500-",
        b"G\x03\n\n\nTuesday, 14-Nov-23 22:13:20 GMT\nTue Nov 14 22:13:20 2023\nbytes=1-2,3-4",
        b"G\x01\n\n\n\n\nBytes = 000000000000000000000000000-0",
    ),
}
"""Inputs to begin with."""

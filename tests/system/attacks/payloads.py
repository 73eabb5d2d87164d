"""What attackers send: malformed frames and messages, and requests that end in doubt."""

from __future__ import annotations

import json
import struct
import zlib

from tests.support.raw_websocket import BINARY, CLOSE, CONTINUATION, PING, frame

FRAME, BODY = 64 * 1024, 64 * 1024
"""Bytes of the longest frame and of the longest body, by default."""
FIRST_FRAME = 4 * 1024
"""Bytes of the longest frame before authentication, by default."""
METHODS = ("GET", "HEAD")


def nested(levels: int) -> str:
    """JSON of an array in an array and so on."""
    return "[" * levels + "0" + "]" * levels


def inside(value: str) -> str:
    """A command that carries ``value`` where nobody looks."""
    return f'{{"event":"getCurrentState","data":{{"x":{value}}}}}'


def play(**members: str) -> str:
    """A ``playTrack`` with the given JSON values."""
    data = {"trackId": '"song"'} | members
    text = ",".join(f'"{name}":{value}' for name, value in data.items())
    return f'{{"event":"playTrack","data":{{{text}}}}}'


BOMB = zlib.compress(bytes(12 * 2**20), wbits=-15)
"""12 MiB that fit into one frame, or into one body."""
FATAL_FRAMES = (
    {
        "one byte too long": (frame(" " * (FRAME + 1)), "1009"),
        "a megabyte": (frame(" " * 2**20), "1009"),
        "a terabyte, so it says": (frame("{", claimed=2**40), "1009"),
        "the longest length there is": (frame("{", claimed=2**64 - 1), "1009"),
        "too long in two parts": (
            frame(" " * FRAME, final=False) + frame(" ", CONTINUATION),
            "1009",
        ),
        "200,000 brackets": (frame(nested(200_000)), "1009"),
        "200,000 open brackets": (frame("[" * 200_000), "1009"),
        "binary": (frame(b"\x00\x01", BINARY), "1003"),
        "binary that is JSON": (frame(inside("1"), BINARY), "1003"),
        "empty binary": (frame(b"", BINARY), "1003"),
        "no UTF-8": (frame(b"\xff\xfe"), "1007"),
        "an overlong slash": (frame(b'{"event":"\xc0\xaf"}'), "1007"),
        "a surrogate in UTF-8": (frame(b'{"event":"\xed\xa0\x80"}'), "1007"),
        "half a character": (frame(b'{"event":"\xe2\x82'), "1007"),
        "a deflate bomb": (frame(BOMB, reserved=4), "1002"),
        "a small deflated message": (
            frame(zlib.compress(b"{}", wbits=-15)[:-1], reserved=4),
            "1002",
        ),
        "RSV2": (frame(inside("1"), reserved=2), "1002"),
        "RSV3": (frame(inside("1"), reserved=1), "1002"),
        "all reserved bits": (frame(inside("1"), reserved=7), "1002"),
        "a ping in parts": (frame("", PING, final=False), "1002"),
        "a close in parts": (frame(struct.pack("!H", 1000), CLOSE, final=False), "1002"),
        "a long ping": (frame("x" * 126, PING), "1002"),
        "a long close": (frame(struct.pack("!H", 1000) + b"x" * 124, CLOSE), "1002"),
        "a ping with a 64-bit length": (frame("", PING, claimed=2**40), "1002"),
        "a continuation of nothing": (frame("{}", CONTINUATION), "1002"),
        "text within text": (frame("{", final=False) + frame("{}", final=False), "1002"),
        "binary within text": (frame("{", final=False) + frame(b"{}", BINARY), "1002"),
        "a close of one byte": (frame(b"\x03", CLOSE), "1002"),
        "RSV1 on a ping": (frame("", PING, reserved=4), "1002"),
        "RSV2 on a close": (frame(b"", CLOSE, reserved=2), "1002"),
    }
    | {f"opcode {code:#x}": (frame("", code), "1002") for code in (*range(3, 8), *range(11, 16))}
    | {
        f"close code {code}": (frame(struct.pack("!H", code), CLOSE), "1002")
        for code in (0, 999, 1004, 1005, 1015, 2999)
    }
)
"""Frames that end the connection, and the close code."""
TOLERATED_MESSAGES = {
    "no JSON": ("hello", "invalid_message"),
    "nothing": ("", "invalid_message"),
    "blanks up to the limit": (" " * FRAME, "invalid_message"),
    "half an object": ('{"event":"getCurrentState"', "invalid_message"),
    "two objects": ('{"event":"getCurrentState"}{}', "invalid_message"),
    "single quotes": ("{'event':'getCurrentState'}", "invalid_message"),
    "a comment": ('{"event":"getCurrentState"}//', "invalid_message"),
    "a byte order mark": ('\ufeff{"event":"getCurrentState"}', "invalid_message"),
    "a control character": ('{"event":"a\nb"}', "invalid_message"),
    "an array": ('["getCurrentState"]', "invalid_message"),
    "null": ("null", "invalid_message"),
    "a number": ("1e400", "invalid_message"),
    "NaN alone": ("NaN", "invalid_message"),
    "no event": ("{}", "invalid_message"),
    "an empty event": ('{"event":""}', "invalid_message"),
    "an event that is a number": ('{"event":1}', "invalid_message"),
    "an event that is an array": ('{"event":["playTrack"]}', "invalid_message"),
    "data that are an array": ('{"event":"playTrack","data":["song"]}', "invalid_message"),
    "data that are text": ('{"event":"playTrack","data":"song"}', "invalid_message"),
    "an id that is an object": ('{"event":"getCurrentState","id":{}}', "invalid_message"),
    "an id of 1e400": ('{"event":"getCurrentState","id":1e400}', "invalid_message"),
    "an id of 2,500 digits": (
        f'{{"event":"getCurrentState","id":{"9" * 2500}}}',
        "invalid_message",
    ),
    "an id of 10 KB": (f'{{"event":"getCurrentState","id":"{"x" * 10_000}"}}', "invalid_message"),
    "as deep as fits": (nested(FRAME // 2 - 1), "invalid_message"),
    "as deep as fits, in data": (inside(nested(FRAME // 2 - 30)), "invalid_message"),
    "only open brackets": ("[" * FRAME, "invalid_message"),
    "only open objects": ('{"a":' * (FRAME // 5), "invalid_message"),
    "objects as deep as fits": ('{"a":' * 2700 + "0" + "}" * 2700, "invalid_message"),
    "100 levels": (inside(nested(100)), "invalid_message"),
    "33 levels": (inside(nested(31)), "invalid_message"),
    "NaN": (play(currentTime="NaN"), "invalid_message"),
    "Infinity": (play(currentTime="Infinity"), "invalid_message"),
    "-Infinity": (play(currentTime="-Infinity"), "invalid_message"),
    "1e400": (play(currentTime="1e400"), "invalid_message"),
    "-1e400": (play(currentTime="-1e400"), "invalid_message"),
    "400 digits": (play(currentTime="9" * 400), "invalid_message"),
    "5,000 digits": (play(currentTime="9" * 5000), "invalid_message"),
    "5,000 digits in ifRev": (play(ifRev="9" * 5000), "invalid_message"),
    "1e400 in ifRev": (play(ifRev="1e400"), "invalid_message"),
    "NaN where nobody looks": (inside("NaN"), "invalid_message"),
    "a negative position": (play(currentTime="-1"), "invalid_message"),
    "a position that is text": (play(currentTime='"1"'), "invalid_message"),
    "a position that is true": (play(currentTime="true"), "invalid_message"),
    "a track that is a number": (play(trackId="1"), "invalid_message"),
    "a track that is a path": (play(trackId='"../../etc/passwd"'), "track_not_found"),
    "a track with a NUL": (play(trackId='"song\\u0000"'), "track_not_found"),
    "a track that is a surrogate": (play(trackId='"\\ud800"'), "track_not_found"),
    "a track of 16,000 characters": (play(trackId=f'"{"x" * 16_000}"'), "track_not_found"),
    "an event of the server": ('{"event":"trackPlaying","data":{}}', "unknown_event"),
    "an event that is a method": ('{"event":"__class__","data":{}}', "unknown_event"),
    "an event that is a surrogate": ('{"event":"\\udfff"}', "unknown_event"),
    "an event of 16,000 characters": (f'{{"event":"{"x" * 16_000}"}}', "unknown_event"),
    "the last of two events": ('{"event":"nope","event":"getCurrentState"}', "trackState"),
    "the last of two events, reversed": (
        '{"event":"getCurrentState","event":"nope"}',
        "unknown_event",
    ),
    "the last of two data": (
        '{"event":"playTrack","data":{"trackId":"none"},"data":{"trackId":"song"}}',
        "trackPlaying",
    ),
    "the last of two tracks": (
        '{"event":"playTrack","data":{"trackId":"song","trackId":"none"}}',
        "track_not_found",
    ),
    "the last of 2,000 keys": (inside("{" + '"a":1,' * 2000 + '"a":1}'), "trackState"),
    "1,000 ids": ("{" + '"id":1,' * 1000 + '"event":"getCurrentState"}', "trackState"),
    "brackets in a string": (inside(json.dumps("[" * 8000)), "trackState"),
    "many brackets side by side": (inside(f"[{'[],' * 4000}[]]"), "trackState"),
    "20 levels": (inside(nested(18)), "trackState"),
    "an escaped key": ('{"\\u0065vent":"getCurrentState"}', "trackState"),
    "a prototype": ('{"__proto__":{"event":"x"},"event":"getCurrentState"}', "trackState"),
}
"""Text that is answered on a connection that goes on: the event, or the error's code."""
SECOND = b"POST /tracks/play/other HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
"""The request that is to be smuggled in behind another."""


def smuggled(token: str) -> dict[str, bytes]:
    """Requests of which two servers could disagree where they end, up to what is smuggled in."""
    start = f"POST /tracks/play/song HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"

    def headers(*lines: str, body: str = "", end: str = "\r\n") -> bytes:
        return (start + "".join(line + end for line in lines) + end + body).encode("latin-1")

    two, chunked = "2\r\n{}\r\n0\r\n\r\n", "Transfer-Encoding: chunked"
    plain = {
        "CL and TE": headers("Content-Length: 2", chunked, body=two),
        "TE and CL": headers(chunked, "Content-Length: 2", body=two),
        "CL 0 and TE": headers("Content-Length: 0", chunked, body=two),
        "two lengths": headers("Content-Length: 2", "Content-Length: 3", body="{}"),
        "two lengths in one": headers("Content-Length: 2, 3", body="{}"),
        "TE xchunked": headers("Transfer-Encoding: xchunked", body=two),
        "TE identity": headers("Transfer-Encoding: identity", body=two),
        "TE chunked, identity": headers("Transfer-Encoding: chunked, identity", body=two),
        "TE chunked twice": headers(chunked, chunked, body=two),
        "TE chunked, chunked": headers("Transfer-Encoding: chunked, chunked", body=two),
        "TE x and chunked": headers("Transfer-Encoding: x", chunked, body=two),
        "TE with a tab inside": headers("Transfer-Encoding: chun\tked", body=two),
        "TE with a vertical tab": headers("Transfer-Encoding: \x0bchunked", body=two),
        "TE in quotes": headers('Transfer-Encoding: "chunked"', body=two),
        "TE with a name in two": headers("Transfer Encoding: chunked", body=two),
        "TE of HTTP/1.0": headers(chunked, body=two).replace(b"HTTP/1.1", b"HTTP/1.0"),
        "a blank before the colon of TE": headers("Transfer-Encoding : chunked", body=two),
        "a blank before the colon of CL": headers("Content-Length : 2", body="{}"),
        "a tab before the colon": headers("Content-Length\t: 2", body="{}"),
        "a blank before a name": headers("X: 1", " Content-Length: 2", body="{}"),
        "a folded line": headers("X: 1", " 2", "Content-Length: 2", body="{}"),
        "a folded TE": headers("Transfer-Encoding:", " chunked", body=two),
        "a folded first line": start.replace("Host: x", " Host: x").encode() + b"\r\n",
        "bare line feeds": headers("Content-Length: 2", body="{}").replace(b"\r\n", b"\n"),
        "one bare line feed": headers("X: 1\nContent-Length: 2", body="{}"),
        "a bare line feed at the end": headers("Content-Length: 2\r\n").removesuffix(b"\r\n\r\n")
        + b"\n\r\n{}",
        "a bare carriage return": headers("X: 1\rContent-Length: 2", body="{}"),
        "a NUL in a value": headers("X: \x00", "Content-Length: 2", body="{}"),
        "a NUL in a name": headers("X\x00: 1", "Content-Length: 2", body="{}"),
        "no colon": headers("X", "Content-Length: 2", body="{}"),
        "no name": headers(": 1", "Content-Length: 2", body="{}"),
        "a name of letters that are none": headers("Content-Length\xa0: 2", body="{}"),
        "a tab in the request line": headers().replace(b"POST /", b"POST\t/"),
        "a blank in the path": headers().replace(b"/song ", b"/so ng "),
        "a control character in the path": headers().replace(b"/song", b"/so\x01ng"),
        "two hosts": headers("Host: y", "Content-Length: 2", body="{}"),
        "no host": headers("Content-Length: 2", body="{}").replace(b"Host: x\r\n", b""),
        "no version": headers().replace(b" HTTP/1.1", b""),
        "version 1.x": headers().replace(b"HTTP/1.1", b"HTTP/1.x"),
        "version 9.9": headers().replace(b"HTTP/1.1", b"HTTP/9.9"),
        "version 2.0": headers().replace(b"HTTP/1.1", b"HTTP/2.0"),
        "a method of punctuation": headers().replace(b"POST ", b"P(ST "),
    }
    lengths = ("-1", "+2", "2_0", "0x2", "2.0", "2e0", "2 2", "2;", "", '"2"', "\xb2", "9" * 5000)
    sizes = ("-1", "+2", "0x2", "2_0", " 2", "g", "", "2 2", "1" * 17, "f" * 5000)
    return (
        plain
        | {f"a length of {n[:9]!r}": headers(f"Content-Length: {n}", body="{}") for n in lengths}
        | {
            f"a chunk of {size[:9]!r}": headers(chunked, body=f"{size}\r\n{{}}\r\n0\r\n\r\n")
            for size in sizes
        }
        | {
            "a chunk longer than it says": headers(chunked, body="2\r\n{}xx\r\n0\r\n\r\n"),
            "a chunk with a bare line feed": headers(chunked, body="2\n{}\r\n0\r\n\r\n"),
            "a chunk that ends in a line feed": headers(chunked, body="2\r\n{}\n0\r\n\r\n"),
            "a chunk with a line feed in its extension": headers(
                chunked, body="2;a\nb\r\n{}\r\n0\r\n\r\n"
            ),
        }
    )

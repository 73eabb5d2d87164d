"""A user without access to a track gets an error object, and no byte of audio."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from audiostream import Settings
from audiostream.app import tokens_of
from audiostream.auth.tickets import Identity
from tests.support.attack_target import AttackTarget, under_attack
from tests.support.forged_tokens import signed
from tests.support.raw_http import bearer
from tests.support.server_process import Launch
from tests.system.attacks.expectations import (
    Headers,
    Token,
    comparable,
    cookie_of,
    is_refusal,
    stream_url_of,
)
from tests.system.attacks.payloads import METHODS


class TestStreams:
    """Whoever may not hear a track gets an error object, and not one byte of audio."""

    def spellings(self) -> Iterable[str]:
        """Ways to write the path of ada's track, and ways around it."""
        for base in ("/tracks/stream", "/api/tracks/stream"):
            yield f"{base}/hers"
        yield from (
            "//tracks/stream/hers",
            "/tracks//stream/hers",
            "/tracks/stream//hers",
            "/tracks/stream/hers/",
            "/tracks/stream/hers//",
            "/./tracks/stream/hers",
            "/tracks/stream/./hers",
            "/x/../tracks/stream/hers",
            "/tracks/stream/x/../hers",
            "/tracks/stream/../stream/hers",
            "/tracks%2fstream%2fhers",
            "/tracks/stream%2fhers",
            "/tracks/stream%2Fhers",
            "/tracks/stream/%2fhers",
            "/tracks/stream/hers%2f",
            "/tracks/stream/..%2fhers",
            "/tracks/stream/..%2f..%2fusers%2fada%2fhers.wav",
            "/tracks/stream/%2e%2e%2fusers%2fada%2fhers.wav",
            "/tracks/stream/%252e%252e%252fusers%252fada%252fhers.wav",
            "/tracks/stream/..%5cusers%5cada%5chers.wav",
            "/tracks/stream/..\\users\\ada\\hers.wav",
            "/tracks/stream/%c0%ae%c0%ae%c0%afusers%c0%afada%c0%afhers.wav",
            "/tracks/stream/users/ada/hers.wav",
            "/tracks/stream/users%2fada%2fhers.wav",
            "/tracks/stream/%00",
            "/tracks/stream/hers%00",
            "/tracks/stream/%00hers",
            "/tracks/stream/hers%00.wav",
            "/tracks/stream/hers%0d%0aX-Evil:%201",
            "/tracks/stream/hers%20",
            "/tracks/stream/hers%ff",
            "/tracks/stream/%68%65%72%73",
            "/%74racks/stream/hers",
            "/TRACKS/STREAM/HERS",
            "/Tracks/Stream/hers",
            "/tracks/stream/HERS",
            "/tracks/stream/hers;a=b",
            "/tracks/stream;a=b/hers",
            "/tracks/stream/hers%3ba=b",
            "/tracks/stream/hers.wav",
            "/tracks/stream/hers?",
            "/tracks/stream/hers?ticket",
            "/tracks/stream/hers?ticket=",
            "/tracks/stream/hers?ticket=..&ticket=..",
            "/tracks/stream/hers?user=ada&userId=ada&sub=ada",
            "/tracks/stream/hers#x",
            "/tracks/stream/" + "x" * 7000,
            "/tracks/stream/" + "../" * 2000 + "hers",
            "/users/ada/hers.wav",
            "/media/users/ada/hers.wav",
            "/sample_media/users/ada/hers.wav",
            "/../../../../../../etc/passwd",
            "/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
            "/js/main.js/../../../../users/ada/hers.wav",
            "/tracks.json",
            "/web/../settings.py",
            "http://audiostream.test/tracks/stream/hers",
            "http://ada:ada@audiostream.test/tracks/stream/hers",
        )

    @pytest.fixture
    async def strangers(
        self, target: AttackTarget, token: Token, settings: Settings
    ) -> dict[str, tuple[str, Headers]]:
        """Proofs that do not open ada's track, as what goes into the query and the headers."""
        now, tokens = time.time(), tokens_of(settings)
        long_ago = now - 30 * 86_400
        _, _, song_ticket = (await stream_url_of(target, token("bob"), "song")).partition("=")
        _, _, her_ticket = (await stream_url_of(target, token(), "song")).partition("=")
        old_ticket = tokens.ticket("ada", "hers", 60.0, long_ago)
        old_session, _ = tokens.session(Identity("ada", long_ago), long_ago)
        cookie = await cookie_of(target, token("bob"))
        expiry, user, mac = her_ticket.split(".")
        found: dict[str, tuple[str, Headers]] = {
            "nothing": ("", {}),
            "a broken token": ("", bearer("nonsense")),
            "an expired token": ("", bearer(token("ada", -60))),
            "a forged token": ("", bearer(signed({"sub": "ada"}, key="x"))),
            "another user's token": ("", bearer(token("bob"))),
            "a user of a similar name": ("", bearer(token("Ada"))),
            "a user that is a path": ("", bearer(token("../ada"))),
            "an expired ticket": (f"ticket={old_ticket}", {}),
            "a prolonged ticket": (f"ticket={int(expiry) + 9999}.{user}.{mac}", {}),
            "another track's ticket": (f"ticket={her_ticket}", {}),
            "another user's ticket": (f"ticket={song_ticket}", {}),
            "another user's cookie": ("", {"Cookie": cookie}),
            "an expired cookie": ("", {"Cookie": f"{cookie.partition('=')[0]}={old_session}"}),
            "all of another user's": (
                f"ticket={song_ticket}",
                bearer(token("bob")) | {"Cookie": cookie},
            ),
        }
        target.secrets |= {token(), token("bob"), song_ticket, her_ticket, old_ticket, cookie}
        return found

    async def test_no_other_credential_opens_any_spelling_of_the_path(
        self, target: AttackTarget, strangers: dict[str, tuple[str, Headers]]
    ) -> None:
        for path in self.spellings():
            for name, (query, headers) in strangers.items():
                joint = "&" if "?" in path else "?"
                asked = f"{path}{joint}{query}" if query else path
                for method in METHODS:
                    answer = await target.ask(method, asked, headers)
                    assert is_refusal(answer, method), (method, asked[:200], name, answer)

    async def test_conditional_and_range_requests_are_refused_alike(
        self, target: AttackTarget, strangers: dict[str, tuple[str, Headers]]
    ) -> None:
        for name, (query, headers) in strangers.items():
            for more in (
                {"Range": "bytes=0-0"},
                {"Range": "bytes=-1"},
                {"Range": "bytes=99999999-"},
                {"If-None-Match": "*"},
                {"If-Match": '"x"'},
                {"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"},
            ):
                for method in METHODS:
                    path = f"/tracks/stream/hers?{query}"
                    answer = await target.ask(method, path, {**headers, **more})
                    assert is_refusal(answer, method), (method, name, more, answer)

    async def test_the_owner_gets_the_audio_by_every_credential(
        self, target: AttackTarget, token: Token
    ) -> None:
        url, cookie = await stream_url_of(target, token(), "hers"), await cookie_of(target, token())
        audio = (target.media / "users/ada/hers.wav").read_bytes()
        path = url.partition("?")[0]
        for asked, headers in ((url, {}), (path, {"Cookie": cookie}), (path, bearer(token()))):
            answer = await target.ask("GET", asked, headers)
            assert (answer.status, answer.body) == (200, audio)
            answer = await target.ask("HEAD", asked, headers)
            assert (answer.status, answer.body) == (200, b"")
        target.answers.clear()  # audio may hold any bytes

    async def test_owned_tracks_are_not_public_where_streams_are(
        self, launch: Launch, media: Path
    ) -> None:
        with under_attack(launch, media, AUDIOSTREAM_STREAM_AUTH="public") as target:
            assert (await target.ask("HEAD", "/tracks/stream/song")).status == 200
            for path in self.spellings():
                for method in METHODS:
                    answer = await target.ask(method, path)
                    assert is_refusal(answer, method), (method, path[:200], answer)
            same = [await target.ask("GET", f"/tracks/stream/{one}") for one in ("hers", "none")]
            assert comparable(same[0]) == comparable(same[1])

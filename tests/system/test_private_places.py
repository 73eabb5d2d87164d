"""What is one user's stays that user's, however its place is written in ``tracks.json``."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import unicodedata
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from aiohttp import ClientSession
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audiostream.library.library import Library
from audiostream.services import SERVICES
from tests.conftest import Client, Launch, Serve, ServerProcess, write_wav
from tests.support.ws_client import connect

Token = Callable[..., str]

DIARY = "private/my diary.wav"
SLIPS = [
    "private\\my diary.wav",
    "/private/my diary.wav",
    "http://host/private/my diary.wav",
    "https://host:8443/music/private/my%20diary.wav?dl=1#t=10",
    "file:///srv/music/private/my%20diary.wav",
    "file://C:\\Music\\private\\my diary.wav",
    "C:\\private\\my diary.wav",
    "\\\\nas\\music\\private\\my diary.wav",
    "private%2Fmy%20diary.wav",
    "private%5Cmy%20diary.wav",
    "private%252Fmy%2520diary.wav",
    "private/my+diary.wav",
    "private/my_diary.wav",
    "private/my&#32;diary.wav",
    "./private//my diary.wav ",
    "private/my diary.wav.",
    "private /my diary.wav",
    "Private/My Diary.WAV",
    "PRIVATE/MY DIARY.wav",
    "private/m\u00fd d\u00ecary.wav",
    "\uff50rivate\uff0fmy diary.wav",
    "private/my\u00a0diary.wav",
    "../private/my diary.wav",
    "music/private/my diary.wav",
    "my diary.wav",
    "my diary",
    "private/my diary",
    "private/my diary.mp3",
    "stream?file=private/my diary.wav",
    "private/my diery.wav",
    "private/tomorrow.wav",
    "privat/diery.wav",
    "diery.wav",
    "private",
    "private/",
    "Private/",
    "private/*",
    "private/*.wav",
    "private/**/*.wav",
    "private/my*",
    "*/my diary.wav",
    "*.wav",
    "*",
    ".",
    "./",
    "/",
    "..",
    "",
    "   ",
    "\0",
    "\ud800",
    "http://host/",
    "http://host/api/tracks/stream/81c3?ticket=x",
    "MYDIAR~1.WAV",
    None,
    7,
    ["private/my diary.wav"],
    {"path": "private/my diary.wav"},
]


def give(folder: Path, *entries: Any) -> None:
    (folder / "tracks.json").write_text(json.dumps(entries))


def slip(audio_url: Any, **more: Any) -> dict[str, Any]:
    return {"id": "diary", "audioUrl": audio_url, "ownerId": "alice"} | more


def paths(library: Library, user_id: str | None = None) -> set[str]:
    """What a user may play, each by its folder and its name."""
    return {"/".join(track.path.parts[-2:]) for track in library.tracks_for(user_id)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Alice's diary in a folder that is not hers by its name, and what everybody may hear."""
    folder = tmp_path / "music"
    for name in (DIARY, "album/song.wav", "users/bob/his.wav", "users/alice/hers.wav"):
        write_wav(folder / name, 0.1)
    return folder


def scanned(folder: Path) -> tuple[Library, str]:
    """The library, and all that the scan says of what it left out."""
    library = Library(folder)
    return library, "\n".join(library.scan().left_out)


MANGLINGS: list[Callable[[str], str]] = [
    quote,
    quote_plus,
    str.upper,
    str.title,
    partial(unicodedata.normalize, "NFD"),
    partial(unicodedata.normalize, "NFKC"),
    lambda text: text.replace("/", "\\"),
    lambda text: text.replace(" ", "_"),
    lambda text: text.replace("/", "//"),
    lambda text: f"/{text}",
    lambda text: f"./{text}",
    lambda text: f"../{text}",
    lambda text: f"Music/{text}",
    lambda text: f"C:\\{text}",
    lambda text: f"file:///{text}",
    lambda text: f"http://user@host:80/{text}",
    lambda text: f"{text}?a=b&c=/d",
    lambda text: f"{text}#t=1",
    lambda text: f"{text} ",
    lambda text: f"{text}.",
    lambda text: f'"{text}"',
    lambda text: text.rpartition("/")[2],
    lambda text: text.rpartition("/")[0],
    lambda text: text.rpartition(".")[0],
    lambda text: f"{text[:9]}x{text[9:]}",
    lambda text: f"{text[:3]}{text[4:]}",
    lambda text: f"{text[:-6]}*",
]


class TestASlip:
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(st.lists(st.sampled_from(MANGLINGS), max_size=5))
    def test_of_any_kinds_together_shares_nothing(
        self, folder: Path, manglings: list[Callable[[str], str]]
    ) -> None:
        name = "privat\u00e9/my di\u00e4ry.wav"
        if not (folder / name).exists():
            write_wav(folder / name, 0.1)
            write_wav(folder / "other/my diary 2.wav", 0.1)
        audio_url = name
        for mangle in manglings:
            audio_url = mangle(audio_url)
        give(folder, slip(audio_url))
        assert name not in paths(scanned(folder)[0], "bob")

    @pytest.mark.parametrize("audio_url", SLIPS, ids=repr)
    def test_in_the_name_of_a_file_shares_nothing_that_it_may_mean(
        self, folder: Path, audio_url: Any
    ) -> None:
        give(folder, slip(audio_url))
        library, said = scanned(folder)
        for user_id in ("bob", "alice", None):
            assert DIARY not in paths(library, user_id)
        assert "tracks.json, entry 1:" in said
        assert "bob/his.wav" in paths(library, "bob")
        assert "alice/hers.wav" in paths(library, "alice")

    @pytest.mark.parametrize("audio_url", SLIPS, ids=repr)
    def test_is_one_after_a_restart_too(self, folder: Path, audio_url: Any) -> None:
        before, _ = scanned(folder)
        give(folder, slip(audio_url))
        library = Library(folder)
        library.restore(before.rows())
        assert DIARY not in paths(library, "bob")

    @pytest.mark.parametrize(
        "audio_url", ["private\\my diary.wav", "/private/my diary.wav", "private/", "private/*"]
    )
    def test_leaves_what_it_cannot_mean(self, folder: Path, audio_url: str) -> None:
        give(folder, slip(audio_url))
        library, said = scanned(folder)
        assert paths(library) == {"album/song.wav"}
        assert f"{DIARY}: tracks.json, entry 1, may mean it" in said

    def test_that_may_mean_anything_leaves_what_lies_in_users_folders(self, folder: Path) -> None:
        give(folder, slip(""), {"id": "song", "audioUrl": "album/song.wav"})
        library, said = scanned(folder)
        assert (paths(library), paths(library, "bob")) == (set(), {"bob/his.wav"})
        assert "until it is mended nothing is shared" in said
        give(folder, slip(DIARY), {"id": "song", "audioUrl": "album/song.wav"})
        assert library.scan().left_out == ()
        assert paths(library, "bob") == {"bob/his.wav", "album/song.wav"}
        assert paths(library, "alice") == {"alice/hers.wav", "album/song.wav", DIARY}

    @pytest.mark.parametrize("audio_url", ["private\\my diary.wav", "privat/diery.wav"])
    def test_outweighs_an_entry_that_shares_the_file(self, folder: Path, audio_url: str) -> None:
        give(folder, {"id": "x", "audioUrl": DIARY}, slip(audio_url))
        assert DIARY not in paths(scanned(folder)[0], "bob")

    @pytest.mark.parametrize(
        "audio_url", ["/private/my diary.wav", "http://host/private/my%20diary.wav"]
    )
    def test_and_an_entry_for_another_user_leave_the_file_to_nobody(
        self, folder: Path, audio_url: str
    ) -> None:
        give(folder, {"id": "x", "audioUrl": DIARY, "ownerId": "bob"}, slip(audio_url))
        library, _ = scanned(folder)
        assert DIARY not in paths(library, "bob") | paths(library, "alice")

    def test_does_not_take_from_a_user_what_an_entry_gives_them(self, folder: Path) -> None:
        write_wav(folder / "lent/my diary.wav", 0.1)
        give(
            folder,
            {"id": "x", "audioUrl": "lent/my diary.wav", "ownerId": "bob"},
            slip("privat/my diary.wav"),
        )
        library, _ = scanned(folder)
        assert "lent/my diary.wav" in paths(library, "bob")
        assert DIARY not in paths(library, "bob")

    def test_is_not_settled_by_a_file_of_that_name_in_another_users_folder(
        self, folder: Path
    ) -> None:
        write_wav(folder / "users/bob/diary.wav", 0.1)
        give(folder, slip("diary.wav"))
        assert DIARY not in paths(scanned(folder)[0], "bob")

    @pytest.mark.parametrize(
        "owner", ["", " ", 7, 0, False, [], {}, ["alice"], {"id": "alice"}, "a\nb", "x" * 129]
    )
    @pytest.mark.parametrize("audio_url", [DIARY, "private\\my diary.wav", "nowhere"])
    def test_in_the_owner_shares_nothing(self, folder: Path, owner: Any, audio_url: str) -> None:
        give(folder, slip(audio_url, ownerId=owner))
        library, said = scanned(folder)
        assert DIARY not in paths(library, "bob")
        assert owner == " " or "tracks.json, entry 1:" in said

    @pytest.mark.parametrize(
        "entry",
        [
            '{"id": "x", "audioUrl": "private/my diary.wav", "ownerID": "alice"}',
            '{"id": "x", "audioUrl": "private/my diary.wav", "owner_id": "alice"}',
            '{"id": "x", "audioUrl": "private/my diary.wav", "Owner": "alice"}',
            '{"id": "x", "audioUrl": "private/my diary.wav", "ownerId": "alice", "ownerId": null}',
            '{"id": "x", "audioUrl": "private/my diary.wav", "of": {"ownerId": "alice"}}',
            '{"id": "x", "path": "private/my diary.wav", "ownerId": "alice"}',
            '[{"id": "x", "audioUrl": "private/my diary.wav", "ownerId": "alice"}]',
            '"private/my diary.wav"',
        ],
    )
    def test_in_the_name_of_a_field_shares_nothing(self, folder: Path, entry: str) -> None:
        (folder / "tracks.json").write_text(f"[{entry}]")
        library, said = scanned(folder)
        assert DIARY not in paths(library, "bob")
        assert "tracks.json, entry 1:" in said

    @pytest.mark.parametrize("name", ["Tracks.json", "TRACKS.JSON", "tracks.json "])
    def test_in_the_name_of_tracks_json_shares_nothing(self, folder: Path, name: str) -> None:
        give(folder, slip(DIARY))
        (folder / "tracks.json").rename(folder / name)
        library, said = scanned(folder)
        assert paths(library, "bob") == {"bob/his.wav"}
        assert "tracks.json cannot be understood" in said

    def test_about_a_file_that_was_thrown_away_keeps_only_its_name(self, folder: Path) -> None:
        give(folder, slip(DIARY))
        (folder / "#recycle").mkdir()
        (folder / "private").rename(folder / "#recycle/private")
        assert paths(scanned(folder)[0]) == {"album/song.wav"}

    def test_about_a_folder_that_is_empty_yet_keeps_that_folder(self, folder: Path) -> None:
        (folder / "later").mkdir()
        give(folder, slip("later/tomorrow.wav"))
        library, _ = scanned(folder)
        assert paths(library) == {"album/song.wav", DIARY}
        write_wav(folder / "later/sub/tomorow.wav", 0.1)
        library.scan()
        assert paths(library) == {"album/song.wav", DIARY}

    def test_without_an_owner_is_only_left_out(self, folder: Path) -> None:
        give(folder, {"id": "x", "audioUrl": "none.wav"}, {"id": "y", "audioUrl": "private\\x"}, 5)
        library, said = scanned(folder)
        assert paths(library) == {"album/song.wav", DIARY}
        assert "tracks.json, entry 2:" in said

    def test_spelling_a_file_twice_on_a_disk_without_case_is_a_dispute(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        os.link(folder / DIARY, folder / "private/My Diary.wav")  # as such a disk shows it
        give(folder, slip(DIARY), {"id": "x", "audioUrl": "private/My Diary.wav", "ownerId": None})
        library, said = scanned(folder)
        assert paths(library, "bob") == {"album/song.wav", "bob/his.wav"}
        assert "names several owners of it" in said

    def test_of_each_kind_is_one_line_in_the_log(
        self, folder: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        give(folder, slip("/private/my diary.wav"))
        scanned(folder)
        lines = [record.getMessage() for record in caplog.records]
        assert sum("entry 1:" in line for line in lines) == 1
        assert sum(DIARY in line for line in lines) == 1
        give(folder, slip("nowhere"))
        caplog.clear()
        scanned(folder)
        assert len([line for line in caplog.records if "tracks.json" in line.getMessage()]) == 1


class TestPlaces:
    @pytest.mark.parametrize(
        "place",
        [
            "#recycle",
            "#Recycle",
            "@Recycle",
            "$RECYCLE.BIN",
            ".Trash-1000",
            ".Trashes",
            "lost+found",
            "@eaDir",
            "@tmp",
            "#snapshot",
            ".snapshot",
            "@Recently-Snapshot",
            "System Volume Information",
            ".AppleDouble",
            "__MACOSX",
            "@GMT-2024.01.01-00.00.00",
        ],
    )
    def test_that_are_no_library_have_no_tracks(self, folder: Path, place: str) -> None:
        for name in (f"{place}/a.wav", f"{place}/users/alice/b.wav", f"deep/{place}/x/c.wav"):
            write_wav(folder / name, 0.1)
        library, said = scanned(folder)
        for user_id in ("alice", "bob", None):
            assert not {"a.wav", "b.wav", "c.wav"} & {
                track.path.name for track in library.tracks_for(user_id)
            }
        assert place.startswith(".") or f"{place}': it is " in said

    def test_that_are_no_library_are_none_to_an_entry_either(self, folder: Path) -> None:
        write_wav(folder / "#recycle/a.wav", 0.1)
        give(folder, {"id": "x", "audioUrl": "#recycle/a.wav"})
        library, said = scanned(folder)
        assert "x" not in {track.id for track in library.tracks_for("alice")}
        assert "entry 1: its file lies in the recycle bin" in said

    def test_that_are_no_library_are_named_once_for_each_kind(self, folder: Path) -> None:
        for number in range(60):
            write_wav(folder / f"albums/{number:02}/@eaDir/a.wav", 0.1)
        _, said = scanned(folder)
        assert len(said.splitlines()) == 1
        assert "and 59 more such folders" in said

    def test_that_were_a_library_to_an_earlier_version_are_none_after_a_restart(
        self, folder: Path
    ) -> None:
        before, _ = scanned(folder)
        library = Library(folder)
        library.restore([("#recycle/x/old.wav", *row[1:]) for row in before.rows()[:1]])
        assert library.tracks_for("bob") == library.tracks_for(None) == []

    @pytest.mark.parametrize(
        "place", ["Users/alice", "USERS/alice", "backup/users/alice", "a/b/Users /alice/x"]
    )
    def test_of_a_user_are_that_users_in_any_case_and_anywhere(
        self, folder: Path, place: str
    ) -> None:
        write_wav(folder / f"{place}/secret.wav", 0.1)
        library, _ = scanned(folder)
        names = {track.path.name: track.owner_id for track in library.tracks_for("alice")}
        assert names["secret.wav"] == "alice"
        for user_id in ("bob", "Alice", None):
            assert "secret.wav" not in {each.path.name for each in library.tracks_for(user_id)}

    def test_of_two_users_are_neithers(self, folder: Path) -> None:
        write_wav(folder / "users/bob/users/alice/a.wav", 0.1)
        write_wav(folder / "users/bob/Users/bob/b.wav", 0.1)
        library, said = scanned(folder)
        assert "users/alice/a.wav: it lies in the folders of several users" in said
        for user_id, expected in (("alice", set()), ("bob", {"b.wav"}), (None, set())):
            found = {track.path.name for track in library.tracks_for(user_id)}
            assert found & {"a.wav", "b.wav"} == expected

    def test_of_users_whose_ids_differ_in_case_are_two_users(self, folder: Path) -> None:
        write_wav(folder / "users/Alice/capital.wav", 0.1)
        library, _ = scanned(folder)
        assert "alice/hers.wav" not in paths(library, "Alice")
        assert "Alice/capital.wav" not in paths(library, "alice")

    def test_below_users_of_no_user_are_nobodys(self, folder: Path) -> None:
        write_wav(folder / "backup/Users/stray.wav", 0.1)
        library, said = scanned(folder)
        assert "backup/Users/stray.wav: it lies in users/ but in no user's folder" in said
        assert "Users/stray.wav" not in paths(library)

    @pytest.mark.parametrize(
        "name", ["...And Justice for All/One.wav", "..hidden.wav", "....a.wav"]
    )
    def test_with_two_dots_or_more_in_front_are_names(self, folder: Path, name: str) -> None:
        write_wav(folder / name, 0.1)
        library, _ = scanned(folder)
        assert Path(name).name in {track.path.name for track in library.tracks_for(None)}
        again = Library(folder)
        again.restore(library.rows())
        assert again.tracks_for(None) == library.tracks_for(None)

    @pytest.mark.parametrize("name", [".hidden.wav", ".folder/a.wav", "._a.wav", "x/.y/a.wav"])
    def test_with_one_dot_in_front_are_hidden(self, folder: Path, name: str) -> None:
        write_wav(folder / name, 0.1)
        library, _ = scanned(folder)
        assert Path(name).name not in {track.path.name for track in library.tracks_for(None)}


def diary_of(client: Client) -> str:
    """The id of the diary while everybody may hear it."""
    tracks = client.app[SERVICES].library.tracks_for(None)
    return next(track.id for track in tracks if track.path.name == Path(DIARY).name)


class TestTheServer:
    """Every way to a file, for those who are not its owner."""

    @pytest.fixture
    async def shared(self, serve: Serve, media: Path) -> tuple[Client, str]:
        """An application where the diary is shared yet, and the id that everybody knows."""
        write_wav(media / DIARY, 0.5)
        client = await serve()
        return client, diary_of(client)

    @pytest.mark.parametrize(
        "audio_url", ["private\\my diary.wav", "http://host/private/my diary.wav", "private/*", ""]
    )
    async def test_has_nothing_of_it_by_any_way(
        self, shared: tuple[Client, str], media: Path, token: Token, audio_url: str
    ) -> None:
        client, track_id = shared
        bob = {"Authorization": f"Bearer {token('bob')}"}
        async with client.get(f"/tracks/{track_id}", headers=bob) as answer:
            ticketed = (await answer.json())["streamUrl"]
        async with client.post("/session", headers=bob) as answer:
            assert answer.status == 204
        for path in (ticketed, f"/tracks/stream/{track_id}"):
            async with client.get(path, headers={"Range": "bytes=0-9"}) as answer:
                assert answer.status == 206
        entries = json.loads((media / "tracks.json").read_text())
        give(media, *entries, slip(audio_url))
        await asyncio.to_thread(client.app[SERVICES].library.scan)
        for headers in (bob, {}, {"Authorization": f"Bearer {token('alice')}"}):
            for path in (ticketed, f"/tracks/stream/{track_id}", f"/tracks/cover/{track_id}"):
                async with client.get(path, headers=headers) as answer:
                    assert answer.status in {404, 401}, path
                    assert b"RIFF" not in await answer.read()
        async with client.get(f"/tracks/stream/{track_id}") as answer:  # by the cookie
            assert answer.status == 404
        async with client.get(f"/tracks/{track_id}", headers=bob) as answer:
            assert answer.status == 404
        async with client.get("/tracks", headers=bob) as answer:
            assert track_id not in await answer.text()
        async with client.post(f"/tracks/play/{track_id}", headers=bob) as answer:
            assert answer.status == 404
        async with connect(client.session, str(client.make_url("/ws")), token("bob")) as peer:
            error = await peer.ask("playTrack", trackId=track_id)
            assert error["data"]["code"] == "track_not_found"

    async def test_has_nothing_of_it_for_anonymous_listeners_in_public_mode(
        self, serve: Serve, media: Path, token: Token
    ) -> None:
        write_wav(media / DIARY, 0.5)
        client = await serve(public_streams=True)
        path = f"/tracks/stream/{diary_of(client)}"
        async with client.get(path) as answer:
            assert answer.status == 200
        give(media, slip("/private/my diary.wav"))
        await asyncio.to_thread(client.app[SERVICES].library.scan)
        async with client.get(path) as answer:
            assert answer.status in {401, 404}

    async def test_has_nothing_of_it_on_a_connection_that_has_just_had_it(
        self, launch: Launch, media: Path, token: Token
    ) -> None:
        write_wav(media / DIARY, 0.5)
        server = launch()
        await server.logs("the library has")
        headers = {"Authorization": f"Bearer {token('bob')}"}
        async with ClientSession(server.url) as session:
            async with session.get("/tracks?q=my+diary", headers=headers) as answer:
                [track] = (await answer.json())["tracks"]
            part = {"Range": "bytes=0-99"}
            for _ in range(3):
                async with session.get(track["streamUrl"], headers=part) as answer:
                    assert (answer.status, len(await answer.read())) == (206, 100)
            give(media, slip("C:\\music\\private\\my diary.wav"))
            server.process.send_signal(signal.SIGHUP)
            await server.logs(f"left out {DIARY}")
            async with asyncio.timeout(10):
                while True:  # the line may come a moment before or after the new list
                    async with session.get(track["streamUrl"], headers=part) as answer:
                        if answer.status == 404:
                            break
                    await asyncio.sleep(0.05)
            async with session.get("/tracks", headers=headers) as answer:
                assert "diary" not in await answer.text()

    def test_says_so_in_its_log(self, launch: Launch, media: Path) -> None:
        write_wav(media / DIARY, 0.5)
        write_wav(media / "#recycle/users/ada/old.wav", 0.5)
        give(media, slip("/private/my diary.wav"))
        server: ServerProcess = launch()
        assert "entry 1" in server.wait_for_log("left out tracks.json")
        server.wait_for_log(f"left out {DIARY}")
        server.wait_for_log("left out '#recycle': it is the recycle bin")

"""What is no regular file inside the media folder is no track."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import FOLDER_CHANGE_SEEN_AFTER
from tests.support.attack_target import AttackTarget, under_attack
from tests.support.audio_files import write_wav
from tests.support.raw_http import bearer
from tests.support.server_process import Launch
from tests.system.attacks.expectations import Token


class TestFiles:
    """What is no regular file inside the folder is no track, whenever it got there."""

    KINDS = ("link", "chain", "pipe", "folder", "listener")

    @pytest.fixture
    def treasure(self, tmp_path: Path) -> Path:
        """A file beside the media folder."""
        write_wav(tmp_path / "treasure.wav", 1.0)
        return tmp_path / "treasure.wav"

    def make(self, kind: str, path: Path, treasure: Path) -> None:
        match kind:
            case "link":
                path.symlink_to(treasure)
            case "chain":
                path.with_suffix(".link").symlink_to(treasure)
                path.symlink_to(path.with_suffix(".link"))
            case "pipe":
                os.mkfifo(path)
            case "folder":
                path.mkdir()
            case "listener":
                with socket.socket(socket.AF_UNIX) as listener, contextlib.chdir(path.parent):
                    listener.bind(path.name)
            case "device":
                os.mknod(path, 0o20666, os.makedev(1, 5))  # /dev/zero

    def name_all(self, media: Path, paths: Mapping[str, str]) -> None:
        entries = json.loads((media / "tracks.json").read_text())
        entries += [{"id": track, "audioUrl": path} for track, path in paths.items()]
        (media / "tracks.json").write_text(json.dumps(entries))

    async def essences(
        self, target: AttackTarget, token: str, tracks: Iterable[str]
    ) -> dict[str, tuple[Any, ...]]:
        found = {}
        for track in tracks:
            got = await target.ask("GET", f"/tracks/stream/{track}", bearer(token))
            head = await target.ask("HEAD", f"/tracks/stream/{track}", bearer(token))
            found[track] = (*got.essence, head.status, head.body)
        return found

    NOT_THERE = (404, "track_not_found", 404, b"")

    async def test_links_pipes_and_outside_files_in_the_manifest_are_no_tracks(
        self, launch: Launch, media: Path, treasure: Path, token: Token
    ) -> None:
        for kind in self.KINDS:
            self.make(kind, media / f"{kind}.wav", treasure)
        (media / "out").symlink_to(treasure.parent)
        (media / "bait.wav").symlink_to(media / "users/bob/his.wav")
        paths = {kind: f"{kind}.wav" for kind in self.KINDS} | {
            "through a folder": "out/treasure.wav",
            "by dots": "../treasure.wav",
            "by many dots": "users/../../treasure.wav",
            "by its whole name": str(treasure),
            "by URL": treasure.as_uri(),
            "etc": "/etc/passwd",
            "memory": "/proc/self/environ",
            "the manifest": "..",
            "nothing": "none.wav",
            "of bob's": "bait.wav",
        }
        self.name_all(media, paths)
        with under_attack(launch, media) as target:
            tracks = [name.replace(" ", "%20") for name in paths]
            found = await self.essences(target, token(), tracks)
            listed = await target.ask("GET", "/tracks", bearer(token()))
        assert found == dict.fromkeys(tracks, self.NOT_THERE)
        ids = {track["id"] for track in json.loads(listed.body)["tracks"]}
        assert ids == {"song", "other", "hers"}

    async def test_links_and_pipes_that_replace_a_track_are_not_opened(
        self, launch: Launch, media: Path, treasure: Path, token: Token
    ) -> None:
        write_wav(media / "album/track.wav", 1.0)
        tracks = [*self.KINDS, "album"]
        for kind in self.KINDS:
            write_wav(media / f"{kind}.wav", 1.0)
        self.name_all(
            media, {kind: f"{kind}.wav" for kind in self.KINDS} | {"album": "album/track.wav"}
        )
        with under_attack(launch, media) as target:
            before = await self.essences(target, token(), tracks)
            assert {found[0] for found in before.values()} == {200}
            target.answers.clear()
            for kind in self.KINDS:
                (media / f"{kind}.wav").unlink()
                self.make(kind, media / f"{kind}.wav", treasure)
            shutil.move(media / "album", treasure.parent / "album")
            (media / "album").symlink_to(treasure.parent / "album")
            await asyncio.sleep(FOLDER_CHANGE_SEEN_AFTER)
            after = await self.essences(target, token(), tracks)
        assert after == dict.fromkeys(tracks, self.NOT_THERE)

    async def test_a_device_node_is_no_track(
        self, launch: Launch, media: Path, treasure: Path, token: Token
    ) -> None:
        write_wav(media / "later.wav", 1.0)
        try:
            self.make("device", media / "device.wav", treasure)
            (media / "device.wav").open("rb").close()
        except PermissionError:
            pytest.skip("device nodes may not be made or opened here")
        self.name_all(media, {"device": "device.wav", "later": "later.wav"})
        with under_attack(launch, media) as target:
            (media / "later.wav").unlink()
            self.make("device", media / "later.wav", treasure)
            found = await self.essences(target, token(), ("device", "later"))
        assert found == dict.fromkeys(("device", "later"), self.NOT_THERE)

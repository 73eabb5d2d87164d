"""``python -m audiostream.client play`` in a process of its own, with an mpv that is not heard."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.waiting import PATIENCE, until


@dataclass
class HeadlessProcess:
    """A running player, and all that it logs."""

    process: asyncio.subprocess.Process
    log: list[str] = field(default_factory=list)

    async def read_log(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.log.append(line.decode())

    def titles(self, words: str) -> list[str]:
        """The titles of tracks after these words of the log: ``plays``, ``goes on with``."""
        pattern = re.compile(rf"INFO {words} (.+?)(?: from [0-9.]+ s)?$")
        return [found[1] for line in self.log if (found := pattern.search(line.strip()))]

    async def logs(self, text: str) -> None:
        """Wait for a line that has the text."""
        try:
            await until(lambda: any(text in line for line in self.log), 2 * PATIENCE)
        except TimeoutError:
            raise AssertionError(f"no {text!r} in: {''.join(self.log)}") from None

    def mpv_pid(self) -> int | None:
        """The process id of its mpv, None while there is none."""
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
                name = (folder / "comm").read_text().strip()
                if int(parent) == self.process.pid and name == "mpv":
                    return int(folder.name)
        return None

    async def ends(self, number: int | None = None) -> int:
        """Send a signal, if any, and return the exit status."""
        if number is not None:
            self.process.send_signal(number)
        async with asyncio.timeout(PATIENCE):
            return await self.process.wait()


@asynccontextmanager
async def headless(
    url: str, token: str, folder: Path, *arguments: str, name: str = "Kitchen"
) -> AsyncIterator[HeadlessProcess]:
    """Start a player, whose warnings are errors; ``folder`` is its user's."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-m", "audiostream.client", "play", url),
        *("--device-name", name, "--mpv-option=--ao=null", *arguments),
        env={**os.environ, "AUDIOSTREAM_TOKEN": token, "XDG_STATE_HOME": str(folder / "xdg")},
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    player = HeadlessProcess(process)
    reading = asyncio.create_task(player.read_log())
    try:
        yield player
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(PATIENCE):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
        await reading
    assert not [line for line in player.log if "Traceback" in line], "".join(player.log)

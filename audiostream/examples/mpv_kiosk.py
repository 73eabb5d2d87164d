"""A kiosk without a screen: plays with mpv what its user plays on any device."""

import asyncio
import os

from audiostream.client import State, connect


def continues(current: State, state: State) -> bool:
    """Return whether ``state`` is where the player is without being told."""
    is_same = (current.track_id, current.is_playing) == (state.track_id, state.is_playing)
    return is_same and abs(current.position_at(state.received) - state.position) < 1


async def main() -> None:
    server = os.environ.get("SERVER", "http://localhost:3000")
    mpv: asyncio.subprocess.Process | None = None
    current: State | None = None
    async with connect(server, os.environ["TOKEN"], device_name="Kiosk") as player:
        try:
            async for event in player:
                if current and continues(current, event.state):
                    continue
                current = event.state
                if mpv and mpv.returncode is None:
                    mpv.terminate()
                    await mpv.wait()
                if current.is_playing:
                    tracks = {track.id: track for track in await player.tracks()}
                    mpv = await asyncio.create_subprocess_exec(
                        *("mpv", "--no-video", "--really-quiet"),
                        f"--start=+{player.position:.2f}",
                        tracks[current.track_id or ""].stream_url,
                    )
        finally:
            if mpv and mpv.returncode is None:
                mpv.terminate()
                await mpv.wait()


asyncio.run(main())

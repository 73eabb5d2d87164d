"""Plain range requests answered before aiohttp's request cycle. Optional."""

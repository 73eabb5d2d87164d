"""The fast path: which requests it answers, that aiohttp would answer alike, and how it ends."""

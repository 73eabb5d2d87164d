"""Header fields as browsers send them for their media elements."""

from __future__ import annotations

CHROMIUM_FIELDS = (
    "Connection: keep-alive",
    'sec-ch-ua-platform: "Linux"',
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)",
    'sec-ch-ua: "Not:A-Brand";v="8", "Chromium";v="156"',
    "sec-ch-ua-mobile: ?0",
    "Accept: */*",
    "Sec-Fetch-Site: same-origin",
    "Sec-Fetch-Mode: no-cors",
    "Sec-Fetch-Dest: audio",
    "Referer: http://127.0.0.1:8080/",
    "Accept-Encoding: identity;q=1, *;q=0",
    "Accept-Language: en-US,en;q=0.9",
)
"""Chromium's, beside the range and in front of it."""

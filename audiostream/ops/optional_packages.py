"""What the server can do because an optional package is installed."""

from __future__ import annotations

import importlib.util
from typing import Final

DRAWS_QR_CODES: Final = importlib.util.find_spec("segno") is not None
"""Whether ``segno`` is there, of ``audiostream[qr]``."""

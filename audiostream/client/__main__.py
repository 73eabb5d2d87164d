"""``python -m audiostream.client``."""

from __future__ import annotations

import sys

from .play_command import main

if __name__ == "__main__":
    sys.exit(main())

"""The id of this device, kept so that the server knows it again after a restart."""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

_log = logging.getLogger(__name__)


def state_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder for what a program keeps for its user (XDG Base Directory)."""
    named = environ.get("XDG_STATE_HOME", "")
    base = Path(named) if os.path.isabs(named) else Path.home() / ".local" / "state"
    return base / "audiostream"


def remembered_device_id(folder: Path, device_name: str) -> str:
    """Return the id of the device of that name, a new one at first.

    One that cannot be kept is logged: the device will be another one after a restart.
    """
    path = folder / f"device-id-{quote(device_name, safe='')[:100]}"
    try:
        if path.exists() and (found := path.read_text().strip()):
            return found
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        device_id = secrets.token_hex(8)
        path.write_text(device_id + "\n")
        return device_id
    except (OSError, UnicodeError) as error:
        _log.warning("the device id cannot be kept: %s", error)
        return secrets.token_hex(8)

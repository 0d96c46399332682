"""Where the demonstration keeps what is not in the database: files that only the owner of the process may read."""

import json
import os
from pathlib import Path
from typing import Any

from core.settings import Settings


def accounts_file(settings: Settings) -> Path:
    """The accounts with their passwords, as `outrider up` prints them."""
    return settings.data_dir / "demo-accounts.json"


def devices_file(settings: Settings) -> Path:
    """The trackers with their keys, for `outrider demo drive`."""
    return settings.data_dir / "demo-devices.json"


def loading_mark(settings: Settings) -> Path:
    """Is there while the private database is being filled: a database found with it is half filled."""
    return settings.data_dir / "demo-loading"


def write_private(file: Path, content: Any) -> None:
    """Write JSON that only the owner of this process may read."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as out:
        json.dump(content, out, indent=1)

"""Aide-memoires: what a crew goes through for a kind of task or goods, in its own language, also without a network.

The texts are data (aide_memoires.json); a text that changes gets a higher version and its date.
"""

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("aide_memoires.json")


@cache
def held() -> dict[str, Any]:
    """All of them, and a version that changes with any of them."""
    raw = FILE.read_bytes()
    return {"version": hashlib.sha256(raw).hexdigest()[:16], "items": json.loads(raw)}

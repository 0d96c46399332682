"""The pages' HTML: a frame that loads the built script and style; everything else is drawn by the script.

The officers' page can be installed: a manifest describes it, and a worker keeps its build on the device.
"""

import hashlib
import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

DIST = Path(__file__).resolve().parent / "dist"
STATIC_DIR = DIST
BASEMAP = DIST / "basemap.json"
TITLES = {
    "dispatcher": "Outrider",
    "officer": "Outrider officer",
    "supervisor": "Outrider analysis",
    "devices": "Outrider devices",
    "people": "Outrider people",
    "shifts": "Outrider shifts",
}
GROUND = "#0b1420"
INSTALLABLE = (
    '<link rel="manifest" href="/officer.webmanifest">',
    '<link rel="apple-touch-icon" href="/static/officer-192.png">',
    f'<meta name="theme-color" content="{GROUND}">',
)
ICONS = (
    ("officer-192.png", 192, "any"),
    ("officer-512.png", 512, "any"),
    ("officer-maskable-512.png", 512, "maskable"),
)


class BundleMissing(RuntimeError):
    """The pages are not built: run `make setup`."""


def _built(name: str) -> dict[str, Any]:
    try:
        read: dict[str, Any] = json.loads((DIST / name).read_text())
    except OSError as error:
        raise BundleMissing(BundleMissing.__doc__) from error
    return read


def page(name: str, *, demo: bool, version: str, calls: Sequence[str] = ()) -> str:
    """The HTML of the page of this name (see TITLES), which may call these hosts beside its own.

    Raises BundleMissing before the first build.
    """
    try:
        assets = _built("assets.json")[name]
    except KeyError as error:
        raise BundleMissing(BundleMissing.__doc__) from error
    scripts = [f'<script type="module" src="/static/{a}"></script>' for a in assets if a.endswith(".js")]
    styles = [f'<link rel="stylesheet" href="/static/{a}">' for a in assets if a.endswith(".css")]
    installable = name == "officer"
    build = f' data-build="{_build(demo=demo, version=version, calls=calls)}"' if installable else ""
    return "\n".join(
        [
            "<!doctype html>",
            f'<html lang="en" data-page="{name}" data-demo="{int(demo)}" data-version="{escape(version)}"{build}>',
            "<head>",
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover">',
            f"<title>{TITLES[name]}</title>",
            '<link rel="icon" href="/static/icon.svg" type="image/svg+xml">',
            *(INSTALLABLE if installable else ()),
            *styles,
            *scripts,
            "</head>",
            '<body><div id="app"></div></body>',
            "</html>",
            "",
        ]
    )


def _build(*, demo: bool, version: str, calls: Sequence[str]) -> str:
    """What tells one build of the officers' page from every other. It is kept with its policy, so that counts too."""
    said = " ".join([_built("shell.json")["digest"], str(demo), version, *calls])
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def worker(*, demo: bool, version: str, calls: Sequence[str] = ()) -> str:
    """The script that keeps the officers' page on the device; raises BundleMissing before the first build."""
    shell = {
        "build": _build(demo=demo, version=version, calls=calls),
        "files": [f"/static/{name}" for name in _built("shell.json")["files"]],
    }
    return f"const SHELL = {json.dumps(shell)};\n{(DIST / 'officer-worker.js').read_text()}"


def manifest() -> dict[str, Any]:
    """How the officers' page is installed and looks as an app of its own."""
    return {
        "id": "/officer",
        "name": TITLES["officer"],
        "short_name": "Outrider",
        "start_url": "/officer",
        "scope": "/officer",
        "display": "standalone",
        "orientation": "any",
        "background_color": GROUND,
        "theme_color": GROUND,
        "icons": [
            {"src": f"/static/{name}", "sizes": f"{px}x{px}", "type": "image/png", "purpose": purpose}
            for name, px, purpose in ICONS
        ],
    }

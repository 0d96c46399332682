"""The pages' HTML: a frame that loads the built script and style; everything else is drawn by the script."""

import json
from html import escape
from pathlib import Path

DIST = Path(__file__).resolve().parent / "dist"
STATIC_DIR = DIST
BASEMAP = DIST / "basemap.json"
TITLES = {"dispatcher": "Outrider", "officer": "Outrider officer", "supervisor": "Outrider analysis"}


class BundleMissing(RuntimeError):
    """The pages are not built: run `make setup`."""


def page(name: str, *, demo: bool, version: str) -> str:
    """The HTML of `dispatcher`, `officer` or `supervisor`; raises BundleMissing before the first build."""
    try:
        assets = json.loads((DIST / "assets.json").read_text())[name]
    except (OSError, KeyError) as error:
        raise BundleMissing(BundleMissing.__doc__) from error
    scripts = [f'<script type="module" src="/static/{a}"></script>' for a in assets if a.endswith(".js")]
    styles = [f'<link rel="stylesheet" href="/static/{a}">' for a in assets if a.endswith(".css")]
    return "\n".join(
        [
            "<!doctype html>",
            f'<html lang="en" data-page="{name}" data-demo="{int(demo)}" data-version="{escape(version)}">',
            "<head>",
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover">',
            f"<title>{TITLES[name]}</title>",
            '<link rel="icon" href="/static/icon.svg" type="image/svg+xml">',
            *styles,
            *scripts,
            "</head>",
            '<body><div id="app"></div></body>',
            "</html>",
            "",
        ]
    )

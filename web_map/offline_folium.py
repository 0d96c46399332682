"""folium maps that need no network: every script and style is inside the page, under a policy that names each.

A resource without a local copy raises, so a new plugin cannot quietly call a foreign host. Text that people wrote
must not go through folium: it puts text into JavaScript template literals, where `${…}` is executed.
"""

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

import folium
from branca.element import Element, MacroElement
from folium.template import Template

from web_map.pages import DIST

_FOLIUM = Path(folium.__file__).parent / "templates"  # folium's wheel carries its own copies of some plugins
_LOCAL: dict[str, Path] = {
    "leaflet": DIST / "report-leaflet.js",
    "leaflet_css": DIST / "report-leaflet.css",
    "leaflet-heat.js": _FOLIUM / "leaflet_heat.min.js",
}
# Popups, icons and fonts of these are not offered in reports, so nothing misses them.
_UNUSED = {
    "jquery", "bootstrap", "bootstrap_css", "glyphicons_css", "awesome_markers", "awesome_markers_css",
    "awesome_markers_font_css", "awesome_rotate_css",
}  # fmt: skip


class NoLocalCopy(LookupError):
    """A folium element wants a script or style that is not at hand here."""


class Labels(MacroElement):
    """Places with names as (lat, lon, name): `tojson` escapes them and `textContent` shows them."""

    _template = Template("""{% macro script(this, kwargs) %}
        for (const [lat, lon, name] of {{ this.places|tojson }}) {
          const label = document.createElement("span");
          label.textContent = name;
          L.circleMarker([lat, lon], {radius: 2, color: "#22303c", interactive: false})
            .bindTooltip(label, {permanent: true, direction: "right", className: "town"})
            .addTo({{ this._parent.get_name() }});
        }
    {% endmacro %}""")

    def __init__(self, places: list[tuple[float, float, str]]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # branca has no types
        self.places = places


def _localise(element: Any) -> None:
    for kind in ("default_js", "default_css"):
        names = [name for name, _ in getattr(element, kind, [])]
        if unknown := set(names) - _LOCAL.keys() - _UNUSED:
            raise NoLocalCopy(f"{type(element).__name__}: {', '.join(sorted(unknown))}")
        if names:
            setattr(element, kind, [(name, f"local:{name}") for name in names if name in _LOCAL])
    for child in element._children.values():
        _localise(child)


def _script(found: re.Match[str]) -> str:
    code = _LOCAL[found[1]].read_text("utf-8")
    return f"<script>{re.sub('//# sourceMappingURL=.*', '', code)}</script>"


def _style(found: re.Match[str]) -> str:
    code = _LOCAL[found[1]].read_text("utf-8")
    return f"<style>{re.sub(r'url[(][^)]*[)]', 'none', code)}</style>"  # pictures of controls that reports lack


def _hashes(tag: str, page: str) -> str:
    codes = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
    digests = (hashlib.sha256(code.encode()).digest() for code in codes)
    return " ".join(sorted({f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests}))


def render(drawn: folium.Map, *, head: str = "", above: str = "", below: str = "") -> tuple[str, str]:
    """A whole page and the content security policy it carries: nothing but its own scripts and styles.

    `head`, `above` and `below` are HTML of ours around the map, escaped by the caller. Raises NoLocalCopy.
    """
    root = drawn.get_root()
    _localise(drawn)
    assert isinstance(root, Element)  # folium gives a map a figure as its root
    page = str(root.render())
    page = re.sub(r'<script src="local:([^"]+)"></script>', _script, page)
    page = re.sub(r'<link rel="stylesheet" href="local:([^"]+)"/?>', _style, page)
    page = page.replace("<head>", f"<head>{head}", 1)
    if re.search(r"""<(?:script|link|img|iframe)\b[^>]*(?:src|href)\s*=""", page):
        raise NoLocalCopy("the page refers to another file")
    policy = (
        f"default-src 'none'; script-src {_hashes('script', page)}; style-src {_hashes('style', page)}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    meta = f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{policy}">'
    page = page.replace("<head>", f"<head>{meta}", 1)
    # Put in after the policy is made: whatever these hold, no script of theirs is allowed by it.
    page = page.replace("<body>", f"<body>{above}", 1).replace("</body>", f"{below}</body>", 1)
    return page, policy

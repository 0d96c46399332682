"""The bill of materials names every package an installation runs, and is what CycloneDX says."""

import json

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tools import sbom, scan


def test_every_package_is_on_the_bill() -> None:
    text = sbom.bill()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    told = json.loads(text)
    assert told["metadata"]["component"]["name"] == "outrider"
    urls = {each["purl"] for each in told["components"]}
    assert {
        f"pkg:pypi/{name}@{version}" for name, version in scan.locked(scan.ROOT / "requirements.lock").items()
    } <= urls
    assert {each.partition("@")[0] for each in urls} >= {"pkg:npm/lit", "pkg:npm/leaflet"}
    assert not [each for each in urls if "esbuild" in each], "a tool is no part"
    assert all(each["hashes"] for each in told["components"])


def test_the_command_writes_it(tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("bill") / "outrider.cdx.json"
    assert sbom.main([str(file)]) == 0
    assert json.loads(file.read_text())["bomFormat"] == "CycloneDX"
    assert sbom.main(["a", "b"]) == 2

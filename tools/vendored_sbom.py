"""`python -m tools.vendored_sbom dist/sbom.json`: adds what the console brings along for browsers, which no lock file names."""

from __future__ import annotations

import hashlib
import re
import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import msgspec

__all__ = ["PACKAGES", "VENDOR", "Package", "add_vendored", "vendored"]

VENDOR = Path("gateway/console/static/vendor")
_FILE = re.compile(r"(?P<name>[A-Za-z-]+)-(?P<version>\d+(?:\.\d+)+)\.(?:[a-z]+\.)*(?:js|css)")


class Package(msgspec.Struct, frozen=True):
    """Where files of a name come from."""

    npm: str
    spdx: str
    license_file: str


_SWAGGER_UI = Package("swagger-ui-dist", "Apache-2.0", "swagger-ui.LICENSE")
PACKAGES: Mapping[str, Package] = {
    "htmx": Package("htmx.org", "0BSD", "htmx.LICENSE"),
    "uPlot": Package("uplot", "MIT", "uPlot.LICENSE"),
    "swagger-ui": _SWAGGER_UI,
    "swagger-ui-bundle": _SWAGGER_UI,
}


def vendored(folder: Path) -> list[dict[str, object]]:
    """A CycloneDX component for each package, with its files and their SHA-256.

    Raises `LookupError` for a script or style sheet without a version, a known package or its licence beside it.
    """
    files: dict[tuple[Package, str], list[Path]] = defaultdict(list)
    for path in sorted([*folder.glob("*.js"), *folder.glob("*.css")]):
        named = _FILE.fullmatch(path.name)
        package = PACKAGES.get(named["name"]) if named else None
        if named is None or package is None or not (folder / package.license_file).is_file():
            raise LookupError(
                f"{path}: say in tools/vendored_sbom.py where it comes from, in its name which version, and put its licence there"
            )
        files[package, named["version"]].append(path)
    return [_component(package, version, found) for (package, version), found in files.items()]


def _component(package: Package, version: str, files: list[Path]) -> dict[str, object]:
    purl = f"pkg:npm/{package.npm}@{version}"
    parts = [
        {"type": "file", "name": path.name, "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(path.read_bytes()).hexdigest()}]}
        for path in files
    ]
    described = {"type": "library", "bom-ref": purl, "name": package.npm, "version": version, "purl": purl}
    return {**described, "licenses": [{"license": {"id": package.spdx}}], "components": parts}


def add_vendored(sbom: Path, folder: Path = VENDOR) -> None:
    """Write them into a CycloneDX document that has none of them yet."""
    document = msgspec.json.decode(sbom.read_bytes(), type=dict[str, object])
    components = document["components"]
    assert isinstance(components, list)
    sbom.write_bytes(msgspec.json.format(msgspec.json.encode({**document, "components": [*components, *vendored(folder)]}), indent=2))


if __name__ == "__main__":
    add_vendored(Path(sys.argv[1]))

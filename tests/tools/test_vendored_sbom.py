"""The bill of materials names what the console brings along for browsers."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import msgspec
import pytest

from tests.support.processes import REPOSITORY
from tools.vendored_sbom import PACKAGES, VENDOR, add_vendored, vendored

FOLDER = REPOSITORY / VENDOR


class File(msgspec.Struct):
    name: str
    hashes: list[dict[str, str]]


class Component(msgspec.Struct):
    purl: str
    components: list[File]


def test_every_script_and_style_sheet_is_named_with_its_digest(tmp_path: Path) -> None:
    sbom = tmp_path / "sbom.json"
    sbom.write_bytes(msgspec.json.encode({"bomFormat": "CycloneDX", "components": [{"name": "alembic"}]}))
    add_vendored(sbom, FOLDER)
    first, *added = msgspec.json.decode(sbom.read_bytes())["components"]
    assert first == {"name": "alembic"}
    listed = {file.name: file.hashes for one in msgspec.convert(added, list[Component]) for file in one.components}
    there = [path for path in FOLDER.iterdir() if path.suffix in (".js", ".css")]
    assert listed == {path.name: [{"alg": "SHA-256", "content": hashlib.sha256(path.read_bytes()).hexdigest()}] for path in there}
    assert len(added) == len({package.npm for package in PACKAGES.values()})


@pytest.mark.parametrize("name", ["htmx.min.js", "jquery-3.7.1.min.js", "uPlot-2.css.js"])
def test_a_file_of_no_known_package_or_version_is_refused(tmp_path: Path, name: str) -> None:
    shutil.copytree(FOLDER, tmp_path / "vendor")
    (tmp_path / "vendor" / name).touch()
    with pytest.raises(LookupError, match=name):
        vendored(tmp_path / "vendor")


def test_a_file_without_its_licence_beside_it_is_refused(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "vendor")
    (tmp_path / "vendor" / "swagger-ui.LICENSE").unlink()
    with pytest.raises(LookupError, match="swagger-ui"):
        vendored(tmp_path / "vendor")

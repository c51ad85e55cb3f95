"""Writing generated files so that what a person changed is never lost, however often it is run."""

from __future__ import annotations

import difflib
import hashlib
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from gateway.migrate.generate.inventory import Inventory

__all__ = ["MANIFEST", "Written", "read_inventory", "write_files"]

MANIFEST = ".dualrun-generated.json"


@dataclass(slots=True)
class Written:
    """What became of each file."""

    written: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    """Changed by a person, and generated as it was before."""
    refused: dict[str, str] = field(default_factory=dict)
    """Changed by a person, and now generated otherwise: the difference to what would be written."""


class _Manifest(msgspec.Struct):
    """What is remembered of a folder."""

    files: dict[str, str] = {}
    """Hashes by relative path."""
    inventory: Inventory = Inventory()


def read_inventory(folder: Path) -> Inventory:
    """What has been generated into a folder, without the tasks whose handler somebody has deleted."""
    inventory = _manifest(folder).inventory
    there = {name: task for name, task in inventory.tasks.items() if (folder / "handlers" / f"{task.module}.py").is_file()}
    return msgspec.structs.replace(inventory, tasks=there)


def write_files(folder: Path, files: Mapping[str, str], *, inventory: Inventory | None = None, dry_run: bool = False) -> Written:
    """Write files by relative path. One that is not as it was generated last is left alone. Raises `OSError`.

    `inventory` is remembered for the next run.
    """
    manifest = _manifest(folder)
    known = manifest.files
    result = Written()
    for name, text in files.items():
        path = folder / name
        new = _hash(text)
        present = path.read_text(encoding="utf-8") if path.is_file() else None
        if present == text:
            result.unchanged.append(name)
        elif present is None or _hash(present) == known.get(name):
            result.written.append(name)
            if not dry_run:
                _write(path, text)
        elif known.get(name) == new:
            result.kept.append(name)
            continue
        else:
            result.refused[name] = _difference(name, present, text)
            continue
        known[name] = new
    if not dry_run:
        manifest.files = dict(sorted(known.items()))
        manifest.inventory = inventory or manifest.inventory
        _write(folder / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)).decode() + "\n")
    return result


def _manifest(folder: Path) -> _Manifest:
    try:
        written = (folder / MANIFEST).read_bytes()
    except OSError:
        # Without it every file that is there counts as a person's.
        return _Manifest()
    # Earlier releases wrote the hashes alone.
    with suppress(msgspec.MsgspecError):
        return _Manifest(files=msgspec.json.decode(written, type=dict[str, str]))
    try:
        return msgspec.json.decode(written, type=_Manifest)
    except msgspec.MsgspecError:
        return _Manifest()


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _difference(name: str, present: str, text: str) -> str:
    return "".join(difflib.unified_diff(present.splitlines(True), text.splitlines(True), f"{name} (yours)", f"{name} (generated)"))


def _write(path: Path, text: str) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise

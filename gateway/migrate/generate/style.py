"""Formatting generated Python by ruff: imports sorted, none too many, lines wrapped."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from ruff import find_ruff_bin  # type: ignore[import-untyped]

__all__ = ["formatted"]

_LINE_LENGTH = "120"


def formatted(files: Mapping[str, str]) -> dict[str, str]:
    """The files with every `.py` among them formatted. Raises `OSError` where ruff cannot be run."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path, text in files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        options = ["--isolated", "--quiet", "--no-cache", "--line-length", _LINE_LENGTH, "--target-version", "py311"]
        for command in (["check", "--select", "I,F401", "--fix", "--exit-zero"], ["format"]):
            # What ruff says is about the user's own lines, which stay as they are.
            subprocess.run([find_ruff_bin(), *command, *options, name], check=False, capture_output=True)  # noqa: S603
        return {path: (folder / path).read_text(encoding="utf-8") for path in files}

"""Files that are replaced whole: whoever reads finds the old content or the new one."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["replace_file"]


def replace_file(path: Path, body: bytes, *, mode: int = 0o644) -> None:
    """Write a file and the folders it is in, synced to disk. Raises `OSError`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Processes of one machine may share the file: each writes its own before the rename.
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:  # noqa: PTH123 - pathlib cannot set the mode
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)

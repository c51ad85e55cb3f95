"""`python -m tools.env_file EXAMPLE TARGET`: an environment file from its example, every empty `*_PASSWORD=` and `*_TOKEN=` drawn."""

from __future__ import annotations

import re
import secrets
import sys
from pathlib import Path

__all__ = ["fill", "write"]

_EMPTY = re.compile(r"^(\w+_(?:PASSWORD|TOKEN)=)$", re.MULTILINE)


def fill(example: str) -> str:
    """The example with a secret of its own for each empty one: 32 hexadecimal digits, safe in a URL."""
    return _EMPTY.sub(lambda found: found[1] + secrets.token_hex(16), example)


def write(example: Path, target: Path) -> None:
    """Readable by its owner alone. Raises FileExistsError: passwords in use are never replaced."""
    target.touch(mode=0o600, exist_ok=False)
    target.write_text(fill(example.read_text()))


if __name__ == "__main__":
    write(Path(sys.argv[1]), Path(sys.argv[2]))

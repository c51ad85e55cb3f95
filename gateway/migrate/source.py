"""Source files under a path: the only part of the scanner that touches a disk.

Symbolic links to directories are not followed, and nothing but regular files is opened: a named pipe called `x.py` would wait for ever.
"""

from __future__ import annotations

import io
import os
import stat
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gateway.migrate.finding import Unparsed

__all__ = ["Source", "is_own", "read_sources", "text_of"]

_SKIPPED = frozenset({"__pycache__", "node_modules", "site-packages"})
_PROJECT_FILES = ("pyproject.toml", "setup.py", "setup.cfg", "manage.py")
_MAX_FILE_BYTES = 16_000_000
# A list of numbers on one line costs some two hundred times its size as a syntax tree.
_MAX_LINE_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Source:
    """One file's text, and what its place says about its module's name."""

    file: str
    text: str
    parts: tuple[str, ...]
    """Directories from the highest that could be an import root, then the module: `("src", "shop", "tasks")`."""
    root: int
    """How many leading parts lie outside the module's name, as `__init__.py` and project files tell."""
    certain: bool
    """Whether `root` was told by `__init__.py` files rather than guessed."""

    @property
    def is_package(self) -> bool:
        """Whether this is an `__init__.py`."""
        return self.file.rsplit("/", 1)[-1] == "__init__.py"


def read_sources(path: Path) -> Iterator[Source | Unparsed]:
    """Every Python file under `path` (or `path` itself), in the order of names, or why it is not readable."""
    path = path.resolve()
    base = path if path.is_dir() else path.parent
    files = _python_files(path) if path.is_dir() else iter([path])
    top = base
    while (top / "__init__.py").is_file() and top.parent != top:
        top = top.parent
    for file in files:
        relative = file.relative_to(base).as_posix()
        if isinstance(data := _read(file), str):
            yield Unparsed(relative, None, data)
        elif isinstance(text := text_of(relative, data), Unparsed):
            yield text
        else:
            yield _placed(relative, text, file, top)


def _python_files(path: Path) -> Iterator[Path]:
    for folder, directories, names in os.walk(path, followlinks=False):
        here = Path(folder)
        # A link up the tree is reported: it is the one kind that hides that nothing was missed.
        yield from (here / name for name in sorted(directories) if (here / name).is_symlink() and _loops(here / name))
        directories[:] = sorted(name for name in directories if _worth_entering(here / name))
        yield from (here / name for name in sorted(names) if name.endswith((".py", ".pyw")))


def _worth_entering(folder: Path) -> bool:
    return not (folder.name in _SKIPPED or folder.name.startswith(".") or folder.is_symlink() or (folder / "pyvenv.cfg").exists())


def is_own(file: Path, base: Path) -> bool:
    """Whether no folder between `base` and the file is one that is passed over: an environment, what is hidden, what was installed."""
    return all(_worth_entering(folder) for folder in file.parents if folder != base and folder.is_relative_to(base))


def _loops(link: Path) -> bool:
    try:
        return link.parent.resolve().is_relative_to(link.resolve())
    except (OSError, RuntimeError):
        return True


def _read(file: Path) -> bytes | str:
    """The file's bytes, or why not."""
    try:
        status = file.stat()
        if stat.S_ISDIR(status.st_mode):
            return "a symbolic link to a directory above it"
        if not stat.S_ISREG(status.st_mode):
            return "not a regular file"
        if status.st_size > _MAX_FILE_BYTES:
            return f"{status.st_size} bytes, more than {_MAX_FILE_BYTES}"
        return file.read_bytes()
    except OSError as exc:
        return exc.strerror or str(exc)


def text_of(file: str, data: bytes) -> str | Unparsed:
    """The text, decoded as Python would (PEP 263), or why it cannot be."""
    if (at := data.find(b"\0")) >= 0:
        return Unparsed(file, _line_at(data, at), "a null byte")
    for number, line in enumerate(data.split(b"\n"), 1):
        if len(line) > _MAX_LINE_BYTES:
            return Unparsed(file, number, f"a line of {len(line)} bytes, more than {_MAX_LINE_BYTES}")
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        return data.decode(encoding)
    except UnicodeDecodeError as exc:
        return Unparsed(file, _line_at(data, exc.start), f"not {exc.encoding}: {exc.reason}")
    except (SyntaxError, LookupError) as exc:
        return Unparsed(file, 1, str(exc))


def _line_at(data: bytes, at: int) -> int:
    return data.count(b"\n", 0, at) + 1


def _placed(relative: str, text: str, file: Path, top: Path) -> Source:
    parts = list(file.relative_to(top).with_suffix("").parts)
    folders = [top.joinpath(*parts[:depth]) for depth in range(len(parts))]
    packages = [depth for depth, folder in enumerate(folders) if depth and (folder / "__init__.py").is_file()]
    if packages:
        root = packages[-1]
        while root in packages:
            root -= 1
        certain = packages[-1] == len(folders) - 1
    else:
        root = _guessed_root(folders)
        certain = root == len(folders) - 1
    if parts[-1] == "__init__":
        parts.pop()
    # No package has such a name: a repository's folder, with an `__init__.py` or not.
    root = max([root, *(depth + 1 for depth, part in enumerate(parts[:-1]) if not part.isidentifier())])
    return Source(relative, text, tuple(parts) or (file.parent.name,), min(root, max(len(parts) - 1, 0)), certain)


def _guessed_root(folders: list[Path]) -> int:
    """The lowest folder that holds a project file or is called `src`: below it lie namespace packages."""
    for depth in range(len(folders) - 1, 0, -1):
        if folders[depth].name == "src" or any((folders[depth] / name).exists() for name in _PROJECT_FILES):
            return depth
    return 0

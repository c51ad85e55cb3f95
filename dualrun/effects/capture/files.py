"""Files under declared places: what is written, moved and removed there are effects; a shadow writes into a directory of its own.

A file is one effect, however often it is opened, and whether it is written in place or moved there when it is complete: its content is
looked at when the run is over.
"""

from __future__ import annotations

import builtins
import hashlib
import io
import os
import shutil
import tempfile
import threading
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from dualrun.contracts import EffectKind, JsonValue
from dualrun.effects.execution import Execution, Note, current_execution
from dualrun.effects.guard import permitted
from dualrun.errors import ShadowRefused
from dualrun.settings import WorkerSettings

__all__ = ["patch"]

_TEXT_MAX_BYTES = 4_096
_WRITES = frozenset("wax+")


def patch(_library: ModuleType) -> None:
    """Put the capture into `open`, which `pathlib` and `shutil` use, and into what `os` moves, removes and makes."""
    places = WorkerSettings.from_env().file_places
    if not places:
        return
    files = _Files(places)
    builtins.open = io.open = files.opening(io.open)
    for name in ("replace", "rename"):
        setattr(os, name, files.moving(getattr(os, name)))
    for name in ("remove", "unlink"):
        setattr(os, name, files.removing(getattr(os, name)))
    for name in ("mkdir", "rmdir", "chmod", "utime"):
        setattr(os, name, files.arranging(getattr(os, name)))


class _Run:
    """The files of one execution."""

    def __init__(self, run: Execution, forget: Callable[[Execution], object]) -> None:
        if run.shadow and run.ended:
            raise ShadowRefused("this shadow has ended: nothing would remove what it still writes")
        self.run = run
        self._forget = forget
        self.notes: dict[str, Note] = {}
        self.appended_from: dict[str, int] = {}
        self.directory = tempfile.mkdtemp(prefix="dualrun-shadow-") if run.shadow else ""
        run.at_end(self._end)

    def actual(self, path: str) -> str:
        """Where a shadow's file of that name is."""
        return self.directory + path if self.directory else path

    def wrote(self, path: str, appended_from: int = 0) -> None:
        """A file is being written; the first time it takes its place in the order."""
        if path not in self.notes:
            self.notes[path] = self.run.note(EffectKind.FILE, f"WRITE {path}", performed=not self.run.shadow)
            self.appended_from[path] = appended_from

    def removed(self, path: str) -> None:
        """A file was removed; one that this run itself wrote was none to the outside."""
        note = self.notes.pop(path, None)
        if note is not None:
            note.pending = True
        else:
            self.run.note(EffectKind.FILE, f"DELETE {path}", performed=not self.run.shadow)

    def moved(self, path: str, to: str) -> None:
        """What was written under a name that is given up counts under the other."""
        note = self.notes.pop(path, None)
        if note is None:
            self.wrote(to)
            return
        note.effect = msgspec.structs.replace(note.effect, key=f"WRITE {to}")
        self.notes[to], self.appended_from[to] = note, self.appended_from.pop(path, 0)

    def _end(self) -> None:
        with permitted():
            for path, note in self.notes.items():
                note.effect = msgspec.structs.replace(note.effect, payload=_content(self.actual(path), self.appended_from.get(path, 0)))
            self._forget(self.run)
            if self.directory:
                shutil.rmtree(self.directory, ignore_errors=True)


class _Files:
    """The places, and the functions that stand before those of `io` and `os`."""

    def __init__(self, places: tuple[Path, ...]) -> None:
        self._places = tuple(os.path.realpath(place) + os.sep for place in places)
        self._runs: dict[Execution, _Run] = {}
        self._lock = threading.Lock()

    def opening(self, open_: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(open_)
        def opening(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as in io
            run = current_execution()
            path = None if run is None else self._placed(file)
            if run is None or path is None:
                return open_(file, mode, *args, **kwargs)
            mine = self._of(run)
            actual = mine.actual(path)
            with permitted():
                if _WRITES.isdisjoint(mode):
                    return open_(actual if Path(actual).exists() else path, mode, *args, **kwargs)
                size = _size(path)
                if run.shadow:
                    _prepare(path, actual, copied=not mode.startswith("w"))
                opened = open_(actual, mode, *args, **kwargs)
            mine.wrote(path, size if mode.startswith("a") else 0)
            return opened

        return opening

    def moving(self, move: Callable[..., None]) -> Callable[..., None]:
        @wraps(move)
        def moving(src: Any, dst: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as in os
            run = current_execution()
            path, to = (None, None) if run is None else (self._placed(src), self._placed(dst))
            if run is None or (path is None and to is None):
                move(src, dst, **kwargs)
                return
            mine = self._of(run)
            with permitted():
                if not run.shadow:
                    move(src, dst, **kwargs)
                elif to is not None:
                    source = os.fspath(src) if path is None else mine.actual(path)
                    _prepare(path or source, source, copied=True)
                    _prepare(to, mine.actual(to), copied=False)
                    move(source, mine.actual(to))
            own = path in mine.notes
            if path is not None and not (own and to is not None):
                mine.removed(path)
            if to is not None:
                mine.moved(path or "", to)

        return moving

    def removing(self, remove: Callable[..., None]) -> Callable[..., None]:
        @wraps(remove)
        def removing(path: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as in os
            run = current_execution()
            placed = None if run is None or kwargs.get("dir_fd") is not None else self._placed(path)
            if run is None or placed is None:
                remove(path, **kwargs)
                return
            mine = self._of(run)
            with permitted():
                if not run.shadow:
                    remove(path, **kwargs)
                elif Path(mine.actual(placed)).exists():
                    remove(mine.actual(placed))
                elif not Path(placed).exists():
                    raise FileNotFoundError(placed)
            mine.removed(placed)

        return removing

    def arranging(self, arrange: Callable[..., None]) -> Callable[..., None]:
        """Directories, modes and times are no effects; a shadow has those of its own directory."""

        @wraps(arrange)
        def arranging(path: Any, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as in os
            run = current_execution()
            placed = None if run is None or kwargs.get("dir_fd") is not None else self._placed(path)
            if run is None or placed is None or not run.shadow:
                arrange(path, *args, **kwargs)
            elif arrange.__name__ == "mkdir" and Path(placed).exists():
                raise FileExistsError(placed)

        return arranging

    def _of(self, run: Execution) -> _Run:
        with self._lock, permitted():
            if run not in self._runs:
                self._runs[run] = _Run(run, self._runs.pop)
            return self._runs[run]

    def _placed(self, file: object) -> str | None:
        """The real path of a file in a declared place; None for any other, and for descriptors."""
        if not isinstance(file, str | bytes | os.PathLike):
            return None
        path = os.path.realpath(os.fsdecode(file))
        return path if path.startswith(self._places) else None


def _prepare(path: str, actual: str, *, copied: bool) -> None:
    """Make room for a shadow's file, with the content of the real one where that is asked for and there is none yet."""
    Path(actual).parent.mkdir(parents=True, exist_ok=True)
    if copied and path != actual and Path(path).exists() and not Path(actual).exists():
        shutil.copyfile(path, actual)


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0


def _content(path: str, start: int) -> JsonValue:
    """The text of a small file, hash and size of any other, from where the run began to append."""
    digest, size, text = hashlib.sha256(), 0, b""
    try:
        with io.open(path, "rb") as file:  # noqa: UP020 - the builtin of that name may be captured
            file.seek(start)
            while chunk := file.read(1 << 20):
                digest.update(chunk)
                size += len(chunk)
                text = text + chunk if size <= _TEXT_MAX_BYTES else b""
    except OSError:
        return None
    if size <= _TEXT_MAX_BYTES:
        try:
            return {"text": text.decode()}
        except UnicodeDecodeError:
            pass
    return {"sha256": digest.hexdigest(), "bytes": size}

"""Outcomes on local disk until the broker has them: a worker that is killed loses none it had written.

A process appends to a segment of its own, one outcome a line. A `write` survives the death of the process (not of the machine; for
that the broker confirms). The segment is locked (`flock`) while its owner lives, so a lock that can be had means an owner that died:
any living process then adopts the segment. A segment is deleted when all of it was delivered; what was delivered twice counts once.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import threading
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from dualrun.contracts import Outcome

__all__ = ["Segment", "Spool", "waiting_segments"]

log = logging.getLogger(__name__)

BATCH_MAX = 200
BATCH_MAX_BYTES = 1024 * 1024
_SUFFIX = ".spool"


class Segment:
    """An open, locked file of outcomes that nobody writes to any more."""

    def __init__(self, path: Path, fd: int) -> None:
        self._path = path
        self._fd = fd
        self._reader = os.fdopen(fd, "rb", closefd=False)
        self._delivered_to = 0
        self._reader.seek(0)

    def batches(self) -> Iterator[Sequence[Outcome]]:
        """What is not delivered yet, in order, in pieces of bounded size. Asking for the next piece says the last one was delivered."""
        while True:
            self._reader.seek(self._delivered_to)
            lines = self._some_lines()
            if not lines:
                return
            yield [outcome for line in lines if (outcome := self._read(line)) is not None]
            self._delivered_to += sum(map(len, lines))

    def delete(self) -> None:
        """All of it was delivered."""
        self._path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Let go of it; the file stays for whoever adopts it."""
        self._reader.close()
        os.close(self._fd)

    def _some_lines(self) -> list[bytes]:
        lines: list[bytes] = []
        size = 0
        while len(lines) < BATCH_MAX and size < BATCH_MAX_BYTES and (line := self._reader.readline()):
            lines.append(line)
            size += len(line)
        return lines

    def _read(self, line: bytes) -> Outcome | None:
        try:
            return msgspec.json.decode(line, type=Outcome)
        except msgspec.MsgspecError as exc:
            # The last line of a process killed in the middle of a write, or of a full disk.
            log.error("outcome_torn", extra={"spool": self._path.name, "bytes": len(line), "reason": str(exc)})
            return None


class Spool:
    """The segments of one process. `append` may be called from any thread; the rest from one."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._path: Path | None = None
        self._fd = -1

    def append(self, outcome: Outcome) -> None:
        """Return once the outcome would survive this process. Raises `OSError` (a full disk)."""
        line = msgspec.json.encode(outcome) + b"\n"
        with self._lock:
            fd = self._current()
            view = memoryview(line)
            while view:
                view = view[os.write(fd, view) :]

    def seal(self) -> Segment | None:
        """What was appended since the last time; None where nothing was. Later outcomes go to a new segment."""
        with self._lock:
            if self._path is None:
                return None
            segment = Segment(self._path, self._fd)
            self._path, self._fd = None, -1
            return segment

    def adopt(self) -> Iterator[Segment]:
        """Segments of processes that are gone."""
        for path in sorted(self._directory.glob(f"*{_SUFFIX}")):
            segment = None if path == self._path else _adopted(path)
            if segment is not None:
                log.info("spool_adopted", extra={"spool": path.name})
                yield segment

    def abandon(self) -> None:
        """In a forked child: the open segment is the parent's. Closing this copy of the descriptor leaves the parent's lock in place."""
        if self._fd >= 0:
            os.close(self._fd)
        self._path, self._fd = None, -1
        self._lock = threading.Lock()

    def _current(self) -> int:
        if self._path is None:
            self._directory.mkdir(parents=True, exist_ok=True)
            name = f"{os.getpid()}-{uuid.uuid4().hex}"
            # Created under another name and locked before it gets its own: an adopter must never see it unlocked.
            hidden = self._directory / f"{name}.new"
            fd = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
            fcntl.flock(fd, fcntl.LOCK_EX)
            path = self._directory / f"{name}{_SUFFIX}"
            hidden.rename(path)
            self._path, self._fd = path, fd
        return self._fd


def waiting_segments(directory: Path) -> list[tuple[int, float]]:
    """Size in bytes and last write (Unix time) of each segment in the folder that holds outcomes, whoever it is of."""
    found: list[tuple[int, float]] = []
    for path in directory.glob(f"*{_SUFFIX}"):
        # It may be delivered and gone in between.
        with contextlib.suppress(FileNotFoundError):
            status = path.stat()
            if status.st_size:
                found.append((status.st_size, status.st_mtime))
    return found


def _adopted(path: Path) -> Segment | None:
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Between open and lock its last holder may have delivered and deleted it.
        if os.fstat(fd).st_nlink:
            return Segment(path, fd)
    except BlockingIOError:
        pass
    os.close(fd)
    return None

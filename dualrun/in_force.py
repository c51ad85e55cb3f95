"""What a worker knows of the flags in force: which of its messages are recalled."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase

import msgspec

from dualrun.contracts import Side
from dualrun.contracts.recall import FlagsDigest, Override, effective_version, recalled_before

__all__ = ["FlagsInForce", "RecallHeard"]

log = logging.getLogger(__name__)

RecallHeard = Callable[[int], None]
"""Called with a version that recalls messages, from whichever thread heard of it first."""

_GLOB = frozenset("*?[")


class FlagsInForce:
    """The recalls of one side. Heard of by any number of threads; asked by those that run the work, without a lock."""

    def __init__(self, side: Side) -> None:
        self._side = side
        self._lock = threading.Lock()
        self._digest = FlagsDigest(version=0)
        self._overrides: dict[str, Override] = {}
        self._is_live = False
        self._recalled: dict[str, int] = {}
        self._by_task: dict[str, int] = {}
        self._listeners: list[RecallHeard] = []

    @property
    def version(self) -> int:
        """The version in force, as far as this process has heard."""
        return effective_version(self._digest.version, self._overrides.values())

    def recalled_before(self, task: str) -> int:
        """The version before which messages of the task are recalled; 0 where none are."""
        by_task = self._by_task
        version = by_task.get(task)
        if version is None:
            version = by_task[task] = self._looked_up(task)
        return version

    def listen(self, heard: RecallHeard) -> None:
        """Have every version told that recalls messages of this side."""
        self._listeners.append(heard)

    def adopt(self, document: bytes, *, live: bool = True) -> None:
        """Take over the document of the flags; what is only remembered yields to anything live. Raises `msgspec.MsgspecError`."""
        digest = msgspec.json.decode(document, type=FlagsDigest)
        with self._lock:
            if self._is_live and digest.version <= self._digest.version:
                return
            self._is_live = self._is_live or live
            self._digest = digest
            for merged in digest.overrides:
                self._overrides.pop(merged, None)
            told = self._changed()
        self._tell(told)

    def hear(self, overrides: Iterable[Override]) -> None:
        """Take over flag changes made while the store of the flags is away."""
        with self._lock:
            new = {o.id: o for o in overrides if o.id not in self._overrides and o.id not in self._digest.overrides}
            if not new:
                return
            self._overrides |= new
            told = self._changed()
        self._tell(told)

    def _changed(self) -> list[int]:
        before = self._recalled
        self._recalled = dict(recalled_before(self._digest, self._overrides.values(), self._side))
        self._by_task = {}
        return sorted({version for name, version in self._recalled.items() if version > before.get(name, 0)})

    def _tell(self, versions: list[int]) -> None:
        for version in versions:
            log.info("recall_heard", extra={"side": self._side.value, "version": version})
            for heard in self._listeners:
                heard(version)

    def _looked_up(self, task: str) -> int:
        return max((version for name, version in self._recalled.items() if name == task or _is_match(task, name)), default=0)


def _is_match(task: str, name: str) -> bool:
    return not _GLOB.isdisjoint(name) and fnmatchcase(task, name)

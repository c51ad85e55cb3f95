"""Roll back one task, or everything. It asks for no evidence, and repeating it changes nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from gateway.core.errors import FlagConflict, NotFound, StoreUnavailable
from gateway.core.evidence_note import FlagEvidence
from gateway.core.flag_change import FlagChange, changes_between
from gateway.core.flags import Flag, FlagSnapshot
from gateway.core.nearest import nearest
from gateway.core.ports import FlagStore
from gateway.core.stages import to_legacy
from gateway.usecases.forward import AdmitForward
from gateway.usecases.read_flag_history import version_kept

__all__ = ["RollBack", "RolledBack"]

log = logging.getLogger(__name__)

_T = TypeVar("_T")
_STORE_S = 0.5
"""How long a store may take to answer: a rollback is not kept waiting by what hangs."""
_Wanted = Callable[[FlagSnapshot], Mapping[str, Flag]]


@dataclass(frozen=True, slots=True)
class RolledBack:
    """The flags in force afterwards, and what the rollback changed: nothing where it had been done before."""

    snapshot: FlagSnapshot
    changes: tuple[FlagChange, ...]
    is_stored: bool = True
    """False where the store was away: in force all the same, and part of the store when it is back."""
    is_forward: bool = False
    """Whether it took anybody further on: to a version of before that was further."""


class RollBack:
    """Takes tasks back. It needs no ledger, no notices, no live worker; and where the flag store does not answer, not even that."""

    def __init__(self, flags: FlagStore, admit: AdmitForward) -> None:
        self._flags = flags
        self._admit = admit

    async def task(
        self, task: str, *, to_version: int | None, author: str, reason: str, source: str, evidence: FlagEvidence | None = None
    ) -> RolledBack:
        """Take one task (or the flag of a glob) to mode legacy, or to what decided it at `to_version`; a hold stays.

        A version at which it stood further on is no way back: that asks for what `AdmitForward` asks for, and raises as that does.
        Raises `NotFound` where no flag names the task, now or then (a misspelt name must not pass for a rollback), or the version is
        not kept; `StoreUnavailable` where a version is asked for that nobody remembers while the store is away.
        """
        then = await self._then(to_version) if to_version is not None else None

        def wanted(present: FlagSnapshot) -> Mapping[str, Flag]:
            flags = [snapshot.flag_for(task) for snapshot in (present, then) if snapshot is not None]
            if not any(flags):
                raise _no_flag(task, present)
            return _task_to_legacy(task, present) if then is None else _task_as(task, present, then)

        asked = wanted if then is None else await self._admitted(wanted, reason)
        return await self._until_it_wins(asked, author=author, reason=reason, source=source, evidence=evidence)

    async def everything(
        self, *, to_version: int | None, author: str, reason: str, source: str, evidence: FlagEvidence | None = None
    ) -> RolledBack:
        """Take every flag to mode legacy, or all flags to what they were at `to_version`; holds stay. Raises as `task`."""
        then = await self._then(to_version) if to_version is not None else None

        def wanted(present: FlagSnapshot) -> Mapping[str, Flag]:
            if then is None:
                return {name: to_legacy(flag) for name, flag in present.flags.items()}
            return _still_held(then.flags, present)

        asked = wanted if then is None else await self._admitted(wanted, reason)
        return await self._until_it_wins(asked, author=author, reason=reason, source=source, evidence=evidence)

    async def _admitted(self, wanted: _Wanted, reason: str) -> _Wanted:
        """The same change, where it may be made. It is made to the flags it was admitted for, if it takes anybody forward."""
        try:
            asked = await _in_time(self._flags.latest())
        except StoreUnavailable:
            asked = self._flags.snapshot
        await self._admit(asked, wanted(asked), force=False, reason=reason)

        def same(present: FlagSnapshot) -> Mapping[str, Flag]:
            flags = wanted(present)
            if present.version != asked.version and self._admit.goes_forward(present, flags):
                raise FlagConflict(asked.version, present.version)
            return flags

        return same

    async def _then(self, version: int) -> FlagSnapshot:
        """A version of before; while the store is away, one this process has seen. Raises `NotFound`, `StoreUnavailable`."""
        try:
            return await _in_time(version_kept(self._flags, version))
        except StoreUnavailable:
            seen = self._flags.seen(version)
            if seen is None:
                raise
            return seen

    async def _until_it_wins(self, wanted: _Wanted, *, author: str, reason: str, source: str, evidence: FlagEvidence | None) -> RolledBack:
        try:
            return await _in_time(self._in_store(wanted, author, reason, source, evidence))
        except StoreUnavailable as exc:
            log.warning("rolled_back_without_store", extra={"reason": str(exc), "author": author})
        present = self._flags.snapshot
        flags = wanted(present)
        changes = changes_between(present.flags, flags)
        if not changes:
            return RolledBack(present, ())
        is_forward = self._admit.goes_forward(present, flags)
        done = await self._flags.override(flags, author=author, reason=reason, source=source)
        return RolledBack(done, changes, is_stored=False, is_forward=is_forward)

    async def _in_store(self, wanted: _Wanted, author: str, reason: str, source: str, evidence: FlagEvidence | None) -> RolledBack:
        # Memory may be behind: what looks rolled back already may not be. Each conflict means that another change went in between.
        while True:
            present = await self._flags.latest()
            flags = wanted(present)
            changes = changes_between(present.flags, flags)
            try:
                if not changes:
                    return RolledBack(present, ())
                done = await self._flags.replace(
                    flags, expected_version=present.version, author=author, reason=reason, source=source, evidence=evidence
                )
                return RolledBack(done, changes, is_forward=self._admit.goes_forward(present, flags))
            except FlagConflict:
                continue


async def _in_time(question: Coroutine[object, object, _T]) -> _T:
    """The store's answer. Raises `StoreUnavailable` where it is not there in time; one that comes later changes nothing here."""
    asking = asyncio.ensure_future(question)
    await asyncio.wait({asking}, timeout=_STORE_S)
    if asking.done():
        return asking.result()
    asking.add_done_callback(lambda late: late.cancelled() or late.exception())
    raise StoreUnavailable(f"no answer within {_STORE_S} s")


def _task_to_legacy(task: str, present: FlagSnapshot) -> Mapping[str, Flag]:
    flag = present.flag_for(task)
    # What a glob says already needs no flag of the task's own.
    return present.flags if flag is None or to_legacy(flag) == flag else present.with_flag(replace(to_legacy(flag), task=task))


def _task_as(task: str, present: FlagSnapshot, then: FlagSnapshot) -> Mapping[str, Flag]:
    """The present flags with the task decided as it was then, whatever globs say now."""
    own = then.flags.get(task)
    if own is not None:
        return _still_held(present.with_flag(own), present)
    others = {name: flag for name, flag in present.flags.items() if name != task}
    decided, now = then.flag_for(task), FlagSnapshot(version=0, flags=others).flag_for(task)
    if decided != now:
        others[task] = replace(decided, task=task) if decided is not None else Flag(task=task)
    return _still_held(others, present)


def _still_held(flags: Mapping[str, Flag], present: FlagSnapshot) -> Mapping[str, Flag]:
    """The flags with what is held now held on: a hold is released by whoever says so."""
    then, kept = FlagSnapshot(version=0, flags=flags), dict(flags)
    for name in flags.keys() | present.flags.keys():
        now, flag = present.flag_for(name), then.flag_for(name)
        if now is not None and now.held and (flag is None or not flag.held):
            kept[name] = replace(flag or Flag(task=name), task=name, held=True)
    return kept


def _no_flag(task: str, present: FlagSnapshot) -> NotFound:
    near = nearest(task, present.flags)
    hint = f"; did you mean {', '.join(near)}?" if near else ""
    return NotFound(f"no flag names {task!r}, so legacy answers for a task of that name{hint}")

"""Change flags: a new version of all of them, checked before it is in force."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.core.errors import FlagConflict, FlagRejected, NotFound, pointing_below
from gateway.core.evidence_note import FlagEvidence
from gateway.core.flags import Flag, FlagSnapshot
from gateway.core.ports import FlagStore
from gateway.usecases.forward import AdmitForward
from gateway.usecases.read_flag_history import version_kept

__all__ = ["ChangeFlag"]

_ATTEMPTS = 5


class ChangeFlag:
    """Sets flags at run time."""

    def __init__(self, flags: FlagStore, admit: AdmitForward) -> None:
        self._flags = flags
        self._admit = admit

    async def set(
        self,
        flag: Flag,
        *,
        author: str,
        reason: str,
        source: str,
        expected_version: int | None = None,
        evidence: FlagEvidence | None = None,
        force: bool = False,
    ) -> FlagSnapshot:
        """Put the flag in force, replacing the task's present one.

        Without `expected_version` a change of another task's flag at the same moment is not in the way: both are kept. A change of
        what decides this task is: whoever asked for this one did not know of it, and it may have been a rollback.
        Whom it takes forward it takes as `AdmitForward` says. Raises `FlagRejected` (`UnsafeShadow`, `FlagConflict`, and what
        `AdmitForward` raises), `StoreUnavailable`.
        """
        flag.check()
        self._check_changeable()
        known = await self.known(expected_version)
        seen = await self._admit(known, known.with_flag(flag), force=force, reason=reason)
        present = known
        for attempt in range(_ATTEMPTS):
            try:
                return await self._flags.replace(
                    present.with_flag(flag),
                    expected_version=present.version,
                    author=author,
                    reason=reason,
                    source=source,
                    evidence=evidence or seen,
                )
            except FlagConflict as exc:
                present = self._flags.snapshot
                unseen = present.version < exc.current_version
                unasked = expected_version is not None or _decided(flag.task, present) != _decided(flag.task, known)
                if unasked or unseen or attempt == _ATTEMPTS - 1:
                    raise
        raise AssertionError("unreachable")

    async def replace_all(
        self,
        flags: Mapping[str, Flag],
        *,
        author: str,
        reason: str,
        source: str,
        expected_version: int | None,
        evidence: FlagEvidence | None = None,
        force: bool = False,
    ) -> FlagSnapshot:
        """Make these all the flags there are. Raises as `check_all`, and `FlagsElsewhere`."""
        self._check_changeable()
        for attempt in range(_ATTEMPTS):
            checked = await self.known(expected_version) if expected_version is not None else await self._flags.latest()
            seen = await self._checked(checked, flags, reason=reason, force=force)
            try:
                return await self._flags.replace(
                    flags, expected_version=checked.version, author=author, reason=reason, source=source, evidence=evidence or seen
                )
            except FlagConflict:
                if expected_version is not None or attempt == _ATTEMPTS - 1:
                    raise
        raise AssertionError("unreachable")

    async def check_all(self, flags: Mapping[str, Flag], *, reason: str, force: bool, expected_version: int | None = None) -> FlagSnapshot:
        """The version these flags may follow. Raises as `set` for the first that may not be set; it points into `/flags/<task>`."""
        present = self._flags.snapshot
        await self._checked(present, flags, reason=reason, force=force)
        if expected_version is not None and expected_version != present.version:
            raise FlagConflict(expected_version, present.version)
        return present

    async def _checked(self, present: FlagSnapshot, flags: Mapping[str, Flag], *, reason: str, force: bool) -> FlagEvidence | None:
        for task, flag in flags.items():
            try:
                flag.check()
            except FlagRejected as exc:
                raise pointing_below(exc, f"/flags/{task}") from exc
        return await self._admit(present, flags, force=force, reason=reason, at="/flags")

    @property
    def refusal(self) -> str | None:
        """Why a change that passes `check_all` is refused all the same: flags are changed elsewhere."""
        return None if self._flags.refusal is None else str(self._flags.refusal)

    def _check_changeable(self) -> None:
        if self._flags.refusal is not None:
            raise self._flags.refusal

    async def known(self, version: int | None) -> FlagSnapshot:
        """The version a caller has read, perhaps from a gateway that heard of it before this one; without one, what is in force here.

        Raises `FlagConflict` where there is no such version, `StoreUnavailable`.
        """
        present = self._flags.snapshot
        if version is None or present.version == version:
            return present
        try:
            return await version_kept(self._flags, version)
        except NotFound as exc:
            raise FlagConflict(version, present.version) from exc


def _decided(task: str, snapshot: FlagSnapshot) -> tuple[Flag | None, Flag | None]:
    return snapshot.flags.get(task), snapshot.flag_for(task)

"""Change flags: a new version of all of them, checked before it is in force."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.core.errors import FieldError, FlagConflict, FlagRejected, NotFound
from gateway.core.flags import Flag, FlagSnapshot
from gateway.core.ports import FlagStore
from gateway.usecases.read_flag_history import version_kept

__all__ = ["ChangeFlag"]

_ATTEMPTS = 5


class ChangeFlag:
    """Sets flags at run time."""

    def __init__(self, flags: FlagStore) -> None:
        self._flags = flags

    async def set(self, flag: Flag, *, author: str, reason: str, source: str, expected_version: int | None = None) -> FlagSnapshot:
        """Put the flag in force, replacing the task's present one.

        Without `expected_version` a change of another task's flag at the same moment is not in the way: both are kept. A change of
        what decides this task is: whoever asked for this one did not know of it, and it may have been a rollback.
        Raises `FlagRejected` (`UnsafeShadow`, `FlagConflict`), `StoreUnavailable`.
        """
        flag.check()
        known = self._flags.snapshot if expected_version is None else await self._at(expected_version)
        present = known
        for attempt in range(_ATTEMPTS):
            try:
                return await self._flags.replace(
                    present.with_flag(flag), expected_version=present.version, author=author, reason=reason, source=source
                )
            except FlagConflict as exc:
                present = self._flags.snapshot
                unseen = present.version < exc.current_version
                unasked = expected_version is not None or _decided(flag.task, present) != _decided(flag.task, known)
                if unasked or unseen or attempt == _ATTEMPTS - 1:
                    raise
        raise AssertionError("unreachable")

    async def replace_all(
        self, flags: Mapping[str, Flag], *, author: str, reason: str, source: str, expected_version: int | None
    ) -> FlagSnapshot:
        """Make these all the flags there are. Raises `FlagRejected` (`UnsafeShadow`, `FlagConflict`), `StoreUnavailable`."""
        self.check_all(flags)
        return await self._flags.replace(flags, expected_version=expected_version, author=author, reason=reason, source=source)

    def check_all(self, flags: Mapping[str, Flag]) -> None:
        """Raises `FlagRejected` for the first that may not be set; it points into `/flags/<task>`."""
        for task, flag in flags.items():
            try:
                flag.check()
            except FlagRejected as exc:
                errors = [FieldError(f"/flags/{task}{error.pointer}", error.detail) for error in exc.errors]
                raise type(exc)(str(exc), errors) from exc

    async def _at(self, version: int) -> FlagSnapshot:
        """The version a caller has read, perhaps from a gateway that heard of it before this one."""
        present = self._flags.snapshot
        if present.version == version:
            return present
        try:
            return await version_kept(self._flags, version)
        except NotFound as exc:
            raise FlagConflict(version, present.version) from exc


def _decided(task: str, snapshot: FlagSnapshot) -> tuple[Flag | None, Flag | None]:
    return snapshot.flags.get(task), snapshot.flag_for(task)

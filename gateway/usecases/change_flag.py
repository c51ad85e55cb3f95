"""Change the flag of one task: a new version of all flags, checked before it is in force."""

from __future__ import annotations

from gateway.core.errors import FlagConflict
from gateway.core.flags import Flag, FlagSnapshot
from gateway.core.ports import FlagStore

__all__ = ["ChangeFlag"]

_ATTEMPTS = 5


class ChangeFlag:
    """Sets flags at run time."""

    def __init__(self, flags: FlagStore) -> None:
        self._flags = flags

    async def set(self, flag: Flag, *, author: str, reason: str, source: str, expected_version: int | None = None) -> FlagSnapshot:
        """Put the flag in force, replacing the task's present one.

        Without `expected_version` a change of another task's flag at the same moment is not in the way: both are kept.
        Raises `FlagRejected` (`UnsafeShadow`, `FlagConflict`), `StoreUnavailable`.
        """
        flag.check()
        for attempt in range(_ATTEMPTS):
            snapshot = self._flags.snapshot
            version = snapshot.version if expected_version is None else expected_version
            try:
                return await self._flags.replace(
                    snapshot.with_flag(flag), expected_version=version, author=author, reason=reason, source=source
                )
            except FlagConflict as exc:
                if expected_version is not None or attempt == _ATTEMPTS - 1:
                    raise
                if self._flags.snapshot.version < exc.current_version:
                    raise  # this process has not seen the newer version yet: its flags would be overwritten unseen
        raise AssertionError("unreachable")

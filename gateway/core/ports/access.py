"""Where access tokens are kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from gateway.core.access import AccessList, AccessSnapshot

__all__ = ["AccessStore"]


class AccessStore(Protocol):
    """Tokens as every gateway knows them. While the store is away, the last known good list stays in force."""

    @property
    def snapshot(self) -> AccessSnapshot:
        """What is in force in this process: at most a second behind."""
        ...

    async def latest(self) -> AccessSnapshot:
        """What the store holds now. Raises `StoreUnavailable`."""
        ...

    async def change(self, edit: Callable[[AccessList], AccessList]) -> AccessSnapshot:
        """Put what `edit` makes of the list in force in its place, one version on; `edit` may be called again when others are faster.

        In force here when it returns, everywhere within a second. What `edit` raises goes on. Raises `StoreUnavailable`.
        """
        ...

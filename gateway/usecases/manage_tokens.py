"""Create access tokens, list them, revoke one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import msgspec

from gateway.core.access import ALL_TASKS, AccessList, AccessToken, Permission, digest_of, new_token
from gateway.core.errors import NotFound
from gateway.core.ports import AccessStore

__all__ = ["ManageTokens"]


class ManageTokens:
    """Tokens are never changed: another one is created, and the old one revoked."""

    def __init__(
        self, store: AccessStore, *, draw_id: Callable[[], str], draw_secret: Callable[[], str], now: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._draw_id = draw_id
        self._draw_secret = draw_secret
        self._now = now

    async def every(self) -> Sequence[AccessToken]:
        """All of them, oldest first. Raises `StoreUnavailable`."""
        return (await self._store.latest()).access.tokens

    async def create(
        self,
        name: str,
        permissions: Sequence[Permission],
        *,
        tasks: Sequence[str] = ALL_TASKS,
        lifetime_s: float | None = None,
        rate_per_s: float | None = None,
        created_by: str,
    ) -> tuple[AccessToken, str]:
        """The token as it is kept, and what its holder sends: this once, for it is kept nowhere. Raises `StoreUnavailable`."""
        secret, now = self._draw_secret(), self._now()
        token = AccessToken(
            id=self._draw_id(),
            name=name,
            digest=digest_of(secret),
            permissions=tuple(sorted(set(permissions), key=list(Permission).index)),
            tasks=tuple(dict.fromkeys(tasks)),
            created_at=now,
            created_by=created_by,
            expires_at=None if lifetime_s is None else now + timedelta(seconds=lifetime_s),
            rate_per_s=rate_per_s,
        )
        await self._store.change(lambda access: msgspec.structs.replace(access, tokens=(*access.tokens, token)))
        return token, new_token(token.id, secret)

    async def revoke(self, id_: str) -> AccessToken:
        """Refused from now on, with the sessions begun with it; everywhere within a second. Raises `NotFound`, `StoreUnavailable`."""
        revoked: list[AccessToken] = []

        def without(access: AccessList) -> AccessList:
            revoked[:] = [token for token in access.tokens if token.id == id_]
            if not revoked:
                raise NotFound(f"there is no token {id_!r}")
            return msgspec.structs.replace(access, tokens=tuple(token for token in access.tokens if token.id != id_))

        await self._store.change(without)
        return revoked[0]

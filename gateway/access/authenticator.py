"""Who a request comes from: an access token, or a session that was begun with one."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

import msgspec
from itsdangerous import BadSignature, URLSafeSerializer

from gateway.core.access import (
    ALL_TASKS,
    AccessList,
    AccessToken,
    Identity,
    Permission,
    Via,
    digest_of,
    granted,
    identity_of_token,
    token_named_by,
)
from gateway.core.errors import StoreUnavailable
from gateway.core.ports import AccessStore

__all__ = ["Authenticator", "Session"]

_BEGINNING = datetime.fromtimestamp(0, UTC)


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """What a session cookie says; it is signed, and holds no secret."""

    id: str
    name: str
    permissions: tuple[Permission, ...]
    expires_at: datetime
    token_id: str = ""
    """The token it was begun with: it ends with that. Empty where another identity provider said who it is."""


class Authenticator:
    """Knows callers by the snapshot of the access list: no request waits for Redis.

    `fixed` are more tokens, from the environment: for the first start, and for when Redis is away.
    """

    def __init__(
        self, store: AccessStore, *, fixed: Mapping[Permission, str | None], session_s: float, now: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._fixed = [_fixed(permission, secret) for permission, secret in fixed.items() if secret is not None]
        self._session_s = session_s
        self._now = now
        # Signs while there is no list: those sessions end with this process.
        self._own_key = secrets.token_urlsafe(32)
        self._ended_here: set[str] = set()

    def by_token(self, presented: str) -> Identity | None:
        """Who presents this token; None where it is none, was revoked or has expired."""
        token = self.token(presented)
        if token is None:
            return None
        # Revoked since: who presents it now is still who it was a moment ago.
        return self._store.snapshot.callers.get(token.id) or identity_of_token(token, Via.TOKEN)

    def token(self, presented: str) -> AccessToken | None:
        """The token that is presented."""
        now = self._now()
        token = token_named_by(presented, self._store.snapshot, now)
        return token or next((fixed for fixed in self._fixed if fixed.holds(presented, now)), None)

    async def begin_session(self, name: str, permissions: tuple[Permission, ...], token_id: str = "") -> str:
        """The cookie of a new session."""
        await self._have_session_key()
        expires_at = self._now() + timedelta(seconds=self._session_s)
        session = Session(id=secrets.token_hex(16), name=name, permissions=permissions, token_id=token_id, expires_at=expires_at)
        return self._signer().dumps(msgspec.to_builtins(session))

    def by_session(self, cookie: str) -> Identity | None:
        """Whose session it is; None where it is none, has ended, or its token was revoked."""
        session = self._session(cookie)
        if session is None:
            return None
        tasks: tuple[str, ...] = ALL_TASKS
        rate_per_s: float | None = None
        if session.token_id:
            token = self._token_of(session.token_id)
            if token is None:
                return None
            tasks, rate_per_s = token.tasks, token.rate_per_s
        return Identity(
            name=session.name,
            via=Via.SESSION,
            permissions=granted(session.permissions),
            tasks=tasks,
            credential=f"session:{session.token_id or session.name}",
            rate_per_s=rate_per_s,
        )

    async def end_session(self, cookie: str) -> bool:
        """End it on every gateway; False where it was none, or where the store is away: then it has ended here alone."""
        session = self._session(cookie)
        if session is None:
            return False
        self._ended_here.add(session.id)
        now = self._now()

        def without(access: AccessList) -> AccessList:
            still = {id_: until for id_, until in access.ended_sessions.items() if until > now}
            return msgspec.structs.replace(access, ended_sessions={**still, session.id: session.expires_at})

        try:
            await self._store.change(without)
        except StoreUnavailable:
            return False
        return True

    def csrf_token(self, cookie: str) -> str:
        """What every form of this session has to send along; it says nothing about the cookie."""
        return hmac.new(self._key().encode(), cookie.encode(), hashlib.sha256).hexdigest()

    def seal(self, text: bytes) -> str:
        """A digest of the text that every gateway makes alike and nobody else can."""
        return hmac.new(self._key().encode(), b"page\0" + text, hashlib.sha256).hexdigest()

    def signed(self, content: object) -> str:
        """Content that comes back as it is, or not at all."""
        return self._signer("dualrun login").dumps(content)

    def unsigned(self, text: str) -> object:
        """What `signed` was given; None where it was not."""
        try:
            content: object = self._signer("dualrun login").loads(text)
        except BadSignature:
            return None
        return content

    def _session(self, cookie: str) -> Session | None:
        try:
            session = msgspec.convert(self._signer().loads(cookie), Session)
        except (BadSignature, msgspec.ValidationError):
            return None
        ended = session.id in self._ended_here or session.id in self._store.snapshot.access.ended_sessions
        return None if ended or session.expires_at <= self._now() else session

    def _token_of(self, id_: str) -> AccessToken | None:
        """The token of a session, while it is in force."""
        token = self._store.snapshot.by_id.get(id_) or next((fixed for fixed in self._fixed if fixed.id == id_), None)
        return None if token is None or (token.expires_at is not None and token.expires_at <= self._now()) else token

    async def _have_session_key(self) -> None:
        if self._store.snapshot.access.session_key:
            return
        fresh = secrets.token_urlsafe(32)
        try:
            await self._store.change(lambda access: access if access.session_key else msgspec.structs.replace(access, session_key=fresh))
        except StoreUnavailable:
            return

    def _key(self) -> str:
        return self._store.snapshot.access.session_key or self._own_key

    def _signer(self, salt: str = "dualrun session") -> URLSafeSerializer:
        return URLSafeSerializer(self._key(), salt=salt, signer_kwargs={"digest_method": hashlib.sha256})


def _fixed(permission: Permission, secret: str) -> AccessToken:
    name = f"environment-{permission}"
    return AccessToken(id=name, name=name, digest=digest_of(secret), permissions=(permission,), created_at=_BEGINNING)

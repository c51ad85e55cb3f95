"""Who may do what: permissions, access tokens, and who a request comes from. Pure."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from fnmatch import fnmatchcase

import msgspec

__all__ = [
    "ALL_TASKS",
    "AccessList",
    "AccessSnapshot",
    "AccessToken",
    "Identity",
    "Permission",
    "Via",
    "digest_of",
    "granted",
    "identity_of_token",
    "new_token",
    "token_named_by",
]

PREFIX = "dualrun"
"""Every token begins with it, so that a scanner of sources and logs can tell one."""
ALL_TASKS = ("*",)
_WILDCARDS = frozenset("*?[")
# Compared with where a token names an id nobody has: an unknown id takes as long as a wrong secret.
_NOBODY = hashlib.sha256(b"").hexdigest()


class Permission(StrEnum):
    """What a caller may do. A side's role is another thing."""

    SUBMIT = "submit"
    """Submit tasks, cancel them, read what became of them."""
    VIEW = "view"
    """Read everything but the audit log."""
    OPERATE = "operate"
    """View, and change flags, roll back, triage, deal with dead letters, read the audit log."""
    ADMIN = "admin"
    """Everything, access tokens included."""


_IMPLIED: Mapping[Permission, frozenset[Permission]] = {
    Permission.OPERATE: frozenset({Permission.VIEW}),
    Permission.ADMIN: frozenset(Permission),
}


class Via(StrEnum):
    """How a caller showed who it is."""

    OPEN = "open"
    """Not at all: access control is off."""
    TOKEN = "token"  # noqa: S105 - a word
    SESSION = "session"


def granted(permissions: Iterable[Permission]) -> frozenset[Permission]:
    """The permissions, and those they imply."""
    named = frozenset(permissions)
    return named.union(*(_IMPLIED.get(permission, frozenset()) for permission in named))


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who a request comes from, and what it may do."""

    name: str
    via: Via
    permissions: frozenset[Permission]
    """With what they imply."""
    tasks: tuple[str, ...] = ALL_TASKS
    """Globs of the tasks it may touch."""
    credential: str = ""
    """The access token's id; what requests are counted by."""
    rate_per_s: float | None = None
    """Requests a second; None: as many as the installation allows."""

    def may(self, permission: Permission) -> bool:
        """Whether it holds this permission."""
        return permission in self.permissions

    @property
    def is_scoped(self) -> bool:
        """Whether some tasks are out of its reach."""
        return "*" not in self.tasks

    def reaches(self, task: str) -> bool:
        """Whether it may touch a task, or every task a flag's glob names."""
        if not self.is_scoped:
            return True
        if _WILDCARDS.isdisjoint(task):
            return any(fnmatchcase(task, glob) for glob in self.tasks)
        # A glob is within reach where everything it could match is: `order.*` reaches `order.[ab]*`, `order.?` does not reach `order.*`.
        return task in self.tasks or any(_is_prefix(glob) and task.startswith(glob[:-1]) for glob in self.tasks)


class AccessToken(msgspec.Struct, frozen=True, kw_only=True):
    """A token as it is kept: the secret itself is nowhere."""

    id: str
    name: str
    digest: str
    """SHA-256 of the secret, hexadecimal. The secret is 256 random bits: there is nothing to guess that a slow hash would slow down."""
    permissions: tuple[Permission, ...]
    tasks: tuple[str, ...] = ALL_TASKS
    created_at: datetime
    created_by: str = ""
    expires_at: datetime | None = None
    rate_per_s: float | None = None

    def holds(self, secret: str, now: datetime) -> bool:
        """Whether this is its secret, and it has not expired. Takes as long for a wrong one."""
        return hmac.compare_digest(digest_of(secret), self.digest) and (self.expires_at is None or now < self.expires_at)


class AccessList(msgspec.Struct, frozen=True, kw_only=True):
    """Every token, numbered like the flags; and what sessions are signed and ended by."""

    version: int = 0
    tokens: tuple[AccessToken, ...] = ()
    session_key: str = ""
    """Sessions are signed with it; another one ends them all."""
    ended_sessions: dict[str, datetime] = msgspec.field(default_factory=dict)
    """Sessions that were logged out, until they would have run out by themselves."""


@dataclass(frozen=True, slots=True)
class AccessSnapshot:
    """The list in force, with its tokens by id."""

    access: AccessList = field(default_factory=AccessList)
    by_id: Mapping[str, AccessToken] = field(default_factory=dict)
    callers: Mapping[str, Identity] = field(default_factory=dict)
    """Who the holder of each token is: made once, for every request asks."""

    @classmethod
    def of(cls, access: AccessList) -> AccessSnapshot:
        """The snapshot of a list."""
        return cls(
            access,
            {token.id: token for token in access.tokens},
            {token.id: identity_of_token(token, Via.TOKEN) for token in access.tokens},
        )


def digest_of(secret: str) -> str:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def new_token(id_: str, secret: str) -> str:
    """What the caller sends: prefix, id and secret."""
    return f"{PREFIX}_{id_}_{secret}"


def token_named_by(presented: str, snapshot: AccessSnapshot, now: datetime) -> AccessToken | None:
    """The token somebody presents, if it is one, is not revoked and has not expired; in the same time where it is not."""
    prefix, _, rest = presented.partition("_")
    id_, _, secret = rest.partition("_")
    token = snapshot.by_id.get(id_) if prefix == PREFIX else None
    if token is None:
        hmac.compare_digest(digest_of(secret), _NOBODY)
        return None
    return token if token.holds(secret, now) else None


def identity_of_token(token: AccessToken, via: Via) -> Identity:
    """Who a token's holder is."""
    return Identity(
        name=token.name,
        via=via,
        permissions=granted(token.permissions),
        tasks=token.tasks,
        credential=token.id,
        rate_per_s=token.rate_per_s,
    )


def _is_prefix(glob: str) -> bool:
    return glob.endswith("*") and _WILDCARDS.isdisjoint(glob[:-1])

"""A version of the flags as Redis and the disk keep it."""

from __future__ import annotations

from datetime import datetime

import msgspec

from dualrun.contracts import Mode, Safety
from gateway.core.errors import StoreUnavailable
from gateway.core.flags import HASH_VERSION, Flag, FlagSnapshot

__all__ = ["StoredFlags", "decode_stored", "encode_stored"]


class _StoredFlag(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    mode: Mode
    events_share: int = 0
    shadow_share: int = 0
    safety: Safety = Safety.UNSAFE
    salt: str = ""
    hash_version: int = HASH_VERSION


class _Stored(msgspec.Struct, frozen=True, kw_only=True):
    version: int
    flags: dict[str, _StoredFlag]
    changed_at: datetime
    author: str
    reason: str
    source: str
    file_hash: str | None = None


class StoredFlags(msgspec.Struct, frozen=True):
    """A snapshot, and the hash of the file content applied last before or with it."""

    snapshot: FlagSnapshot
    file_hash: str | None = None


_decoder = msgspec.json.Decoder(_Stored)
_encoder = msgspec.json.Encoder()


def encode_stored(stored: StoredFlags) -> bytes:
    snapshot = stored.snapshot
    return _encoder.encode(
        _Stored(
            version=snapshot.version,
            flags={name: _stored_flag(flag) for name, flag in snapshot.flags.items()},
            changed_at=snapshot.changed_at,
            author=snapshot.author,
            reason=snapshot.reason,
            source=snapshot.source,
            file_hash=stored.file_hash,
        )
    )


def decode_stored(body: bytes) -> StoredFlags:
    """Raises `StoreUnavailable` where the bytes are none of ours: the flags in force then stay in force."""
    try:
        stored = _decoder.decode(body)
    except msgspec.MsgspecError as exc:
        raise StoreUnavailable(f"stored flags cannot be read: {exc}") from exc
    snapshot = FlagSnapshot(
        version=stored.version,
        flags={name: _flag(name, flag) for name, flag in stored.flags.items()},
        changed_at=stored.changed_at,
        author=stored.author,
        reason=stored.reason,
        source=stored.source,
    )
    return StoredFlags(snapshot, stored.file_hash)


def _stored_flag(flag: Flag) -> _StoredFlag:
    return _StoredFlag(
        mode=flag.mode,
        events_share=flag.events_share,
        shadow_share=flag.shadow_share,
        safety=flag.safety,
        salt=flag.salt,
        hash_version=flag.hash_version,
    )


def _flag(name: str, stored: _StoredFlag) -> Flag:
    return Flag(
        task=name,
        mode=stored.mode,
        events_share=stored.events_share,
        shadow_share=stored.shadow_share,
        safety=stored.safety,
        salt=stored.salt,
        hash_version=stored.hash_version,
    )

"""A version of the flags as Redis and the disk keep it."""

from __future__ import annotations

from datetime import datetime

import msgspec

from dualrun.contracts import Mode, Safety
from dualrun.contracts.recall import Recalls
from gateway.core.errors import StoreUnavailable
from gateway.core.evidence_note import FlagEvidence
from gateway.core.flags import HASH_VERSION, Flag, FlagSnapshot
from gateway.core.gate_settings import Gate, OnWorkerLoss
from gateway.core.targeting import Rule

__all__ = ["StoredFlag", "StoredFlags", "decode_stored", "encode_stored", "flag_from", "stored_flag"]


class StoredFlag(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A flag without its name."""

    mode: Mode
    events_share: int = 0
    shadow_share: int = 0
    control_share: int = 0
    safety: Safety = Safety.UNSAFE
    salt: str = ""
    hash_version: int = HASH_VERSION
    gate: Gate | None = None
    held: bool = False
    on_worker_loss: OnWorkerLoss = OnWorkerLoss.ALERT
    cohort_path: str = ""
    shadow_delay_s: int = 0
    rules: tuple[Rule, ...] = ()


class _Stored(msgspec.Struct, frozen=True, kw_only=True):
    version: int
    flags: dict[str, StoredFlag]
    changed_at: datetime
    author: str
    reason: str
    source: str
    file_hash: str | None = None
    evidence: FlagEvidence | None = None
    recalls: Recalls = {}
    overrides: tuple[str, ...] = ()


class StoredFlags(msgspec.Struct, frozen=True):
    """A snapshot, and the hash of the file content applied last before or with it."""

    snapshot: FlagSnapshot
    file_hash: str | None = None
    overrides: tuple[str, ...] = ()
    """Ids of the latest overrides that are part of it."""


_decoder = msgspec.json.Decoder(_Stored)
_encoder = msgspec.json.Encoder()


def encode_stored(stored: StoredFlags) -> bytes:
    snapshot = stored.snapshot
    return _encoder.encode(
        _Stored(
            version=snapshot.version,
            flags={name: stored_flag(flag) for name, flag in snapshot.flags.items()},
            changed_at=snapshot.changed_at,
            author=snapshot.author,
            reason=snapshot.reason,
            source=snapshot.source,
            file_hash=stored.file_hash,
            evidence=snapshot.evidence,
            recalls=snapshot.recalls,
            overrides=stored.overrides,
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
        flags={name: flag_from(name, flag) for name, flag in stored.flags.items()},
        changed_at=stored.changed_at,
        author=stored.author,
        reason=stored.reason,
        source=stored.source,
        evidence=stored.evidence,
        recalls=stored.recalls,
    )
    return StoredFlags(snapshot, stored.file_hash, stored.overrides)


def stored_flag(flag: Flag) -> StoredFlag:
    return StoredFlag(
        mode=flag.mode,
        events_share=flag.events_share,
        shadow_share=flag.shadow_share,
        control_share=flag.control_share,
        safety=flag.safety,
        salt=flag.salt,
        hash_version=flag.hash_version,
        gate=flag.gate,
        held=flag.held,
        on_worker_loss=flag.on_worker_loss,
        cohort_path=flag.cohort_path,
        shadow_delay_s=flag.shadow_delay_s,
        rules=flag.rules,
    )


def flag_from(name: str, stored: StoredFlag) -> Flag:
    return Flag(
        task=name,
        mode=stored.mode,
        events_share=stored.events_share,
        shadow_share=stored.shadow_share,
        control_share=stored.control_share,
        safety=stored.safety,
        salt=stored.salt,
        hash_version=stored.hash_version,
        gate=stored.gate,
        held=stored.held,
        on_worker_loss=stored.on_worker_loss,
        cohort_path=stored.cohort_path,
        shadow_delay_s=stored.shadow_delay_s,
        rules=stored.rules,
    )

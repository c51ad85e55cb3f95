"""What is told to the outside: a version of the flags, or the gate's word."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import msgspec

from dualrun.contracts import JsonObject
from gateway.core.flag_change import FlagChange
from gateway.core.flags import FlagSnapshot
from gateway.core.gate import GateVerdict

__all__ = ["Logged", "Notice", "NoticeType", "notice_of_verdict", "notice_of_version"]


class NoticeType(StrEnum):
    """What it is about."""

    FLAG_VERSION = "flag.version"
    GATE_VERDICT = "gate.verdict"


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened; webhooks and the event stream carry it as it is."""

    id: str
    """The same however often it is told: who receives it twice can tell."""
    type: NoticeType
    timestamp: datetime
    data: JsonObject


@dataclass(frozen=True, slots=True)
class Logged:
    """A notice, and where in the log it stands: what a reader names to go on after it."""

    position: str
    notice: Notice


def notice_of_version(snapshot: FlagSnapshot, compared_with: int | None, changes: tuple[FlagChange, ...]) -> Notice:
    """Who changed which flags, why, and on what evidence."""
    return Notice(
        id=f"flag-version-{snapshot.version}",
        type=NoticeType.FLAG_VERSION,
        timestamp=snapshot.changed_at,
        data={
            "version": snapshot.version,
            "author": snapshot.author,
            "reason": snapshot.reason,
            "source": snapshot.source,
            "evidence": msgspec.to_builtins(snapshot.evidence),
            "compared_with": compared_with,
            "changes": msgspec.to_builtins(changes),
        },
    )


def notice_of_verdict(verdict: GateVerdict) -> Notice:
    """The verdict, whole."""
    return Notice(
        id=f"gate-verdict-{verdict.id}", type=NoticeType.GATE_VERDICT, timestamp=verdict.decided_at, data=msgspec.to_builtins(verdict)
    )

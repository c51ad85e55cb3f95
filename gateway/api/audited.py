"""From a request that may change something, and its answer, to an entry of the audit log."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import datetime
from urllib.parse import parse_qsl

import msgspec
from starlette.types import Scope

from gateway.api.caller import ANYBODY
from gateway.core.access import Identity
from gateway.core.audit import AuditEntry

__all__ = ["audit_entry", "keep_for_audit"]

_KEPT = "audited_body"
_LONGEST = 2_000
_LONGEST_REASON = 1_000
_LONGEST_FORM_BYTES = 400_000
_MOST_CHOSEN = 2_000
"""As many as a list of dead letters has to be ticked."""
_LONGEST_CHOSEN = 200
_WHO_AND_WHY = frozenset({"author", "reason", "note", "source"})
_SECRET = frozenset({"token", "csrf", "password", "next"})


class _Said(msgspec.Struct, frozen=True):
    """What of a body says who and why."""

    author: str = ""
    reason: str = ""
    note: str = ""


def keep_for_audit(scope: Scope, body: bytes) -> None:
    """What the caller asked for, as it came."""
    scope[_KEPT] = body


def audit_entry(
    scope: Scope, action: str, target: str, status: int, *, new_id: Callable[[], str], now: Callable[[], datetime]
) -> AuditEntry:
    """Who asked for this, from where, why, and what came of it."""
    caller = scope.get("caller", ANYBODY)
    assert isinstance(caller, Identity)
    fields = _fields(scope)
    said = _said(fields)
    client = scope.get("client")
    return AuditEntry(
        id=new_id(),
        at=now(),
        actor=str(scope.get("audited_actor") or caller.name or said.author or "anybody"),
        via=str(scope.get("audited_via") or caller.via),
        credential=caller.credential,
        address=str(client[0]) if client else "",
        action=action,
        target=str(scope.get("audited_target") or target),
        reason=(said.reason or said.note)[:_LONGEST_REASON],
        detail=_detail(fields),
        status=status,
    )


def _fields(scope: Scope) -> Mapping[str, object]:
    body: bytes = scope.get(_KEPT, b"")
    if body[:1] == b"{":
        try:
            decoded = msgspec.json.decode(body)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            return {}
        return {name: value for name, value in decoded.items() if name not in _SECRET}
    return _of_form(body[:_LONGEST_FORM_BYTES])


def _of_form(body: bytes) -> Mapping[str, object]:
    """Fields by name. One that is there many times is a tuple, with how many there were: the tuple has an end."""
    given: defaultdict[str, list[str]] = defaultdict(list)
    for name, value in parse_qsl(body.decode("utf-8", "replace")):
        if name not in _SECRET:
            given[name].append(value)
    fields: dict[str, object] = {}
    for name, values in given.items():
        if len(values) == 1 or name in _WHO_AND_WHY:
            fields[name] = values[-1]
        else:
            fields |= {f"{name}_count": len(values), name: tuple(value[:_LONGEST_CHOSEN] for value in values[:_MOST_CHOSEN])}
    return fields


def _said(fields: Mapping[str, object]) -> _Said:
    try:
        return msgspec.convert(fields, _Said)
    except msgspec.ValidationError:
        return _Said()


def _detail(fields: Mapping[str, object]) -> str:
    told = {name: value for name, value in fields.items() if name not in _WHO_AND_WHY}
    # What was chosen is bounded already, and comes first: nothing that was typed besides can push it out.
    chosen = {name: value for name, value in told.items() if isinstance(value, tuple)}
    longest = _LONGEST + len(msgspec.json.encode(chosen).decode())
    text = msgspec.json.encode({**chosen, **told}).decode() if told else ""
    return text if len(text) <= longest else f"{text[:longest]} ... ({len(text):,} characters)"

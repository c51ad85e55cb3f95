"""Flags as a YAML document: `{version: 1, flags: {<task or glob>: {mode, ...}}}`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

import yaml

from dualrun.contracts import Mode, Safety
from gateway.core.document import DocumentFlaw, DocumentNode, read_document
from gateway.core.errors import FlagRejected, FlagsFileRejected
from gateway.core.flags import HASH_VERSION, Flag, percent_of, share_of

__all__ = ["DOCUMENT_VERSION", "dump_flags", "parse_flags"]

DOCUMENT_VERSION = 1
_TOP = ("version", "flags")
_MEMBERS = ("mode", "events_percent", "shadow_percent", "safety", "salt", "hash_version")


def parse_flags(text: str, file: str) -> Mapping[str, Flag]:
    """The flags a document holds, each checked; `file` is for the message. Raises `FlagsFileRejected` for the first flaw."""
    try:
        return _flags(read_document(text))
    except DocumentFlaw as flaw:
        raise FlagsFileRejected(file, flaw.line, flaw.column, flaw.reason, flaw.pointer) from flaw


def dump_flags(flags: Mapping[str, Flag]) -> str:
    """The document that `parse_flags` reads back as these flags; members with their default are left out."""
    entries = {name: _members(flag) for name, flag in sorted(flags.items())}
    document = {"version": DOCUMENT_VERSION, "flags": entries}
    text: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, default_flow_style=None, width=140)
    return text


def _flags(document: DocumentNode) -> Mapping[str, Flag]:
    top = document.mapping(_TOP)
    for name in _TOP:
        if name not in top:
            raise document.flaw(f"{name!r} is missing; a flags file holds version: {DOCUMENT_VERSION} and flags: ...")
    if top["version"].integer() != DOCUMENT_VERSION:
        raise top["version"].flaw(f"this release reads version {DOCUMENT_VERSION}")
    return {name: _flag(name, node) for name, node in top["flags"].mapping().items()}


def _flag(name: str, node: DocumentNode) -> Flag:
    members = node.mapping(_MEMBERS)
    if "mode" not in members:
        raise node.flaw(f"'mode' is missing; one of {', '.join(mode.value for mode in Mode)}")
    flag = Flag(
        task=name,
        mode=members["mode"].choice(Mode),
        events_share=_share(members, "events_percent"),
        shadow_share=_share(members, "shadow_percent"),
        safety=members["safety"].choice(Safety) if "safety" in members else Safety.UNSAFE,
        salt=members["salt"].text() if "salt" in members else "",
        hash_version=members["hash_version"].integer() if "hash_version" in members else HASH_VERSION,
    )
    try:
        flag.check()
    except FlagRejected as exc:
        member = exc.errors[0].pointer.removeprefix("/") if exc.errors else ""
        raise members.get(member, node).flaw(str(exc)) from exc
    return flag


def _share(members: Mapping[str, DocumentNode], name: str) -> int:
    if name not in members:
        return 0
    try:
        return share_of(members[name].number())
    except ValueError as exc:
        raise members[name].flaw(str(exc)) from exc


class _Members(TypedDict, total=False):
    mode: str
    events_percent: float
    shadow_percent: float
    safety: str
    salt: str
    hash_version: int


def _members(flag: Flag) -> _Members:
    members = _Members(mode=flag.mode.value)
    if flag.events_share:
        members["events_percent"] = percent_of(flag.events_share)
    if flag.shadow_share:
        members["shadow_percent"] = percent_of(flag.shadow_share)
    if flag.safety is not Safety.UNSAFE:
        members["safety"] = flag.safety.value
    if flag.salt:
        members["salt"] = flag.salt
    if flag.hash_version != HASH_VERSION:
        members["hash_version"] = flag.hash_version
    return members

"""Flags as a YAML document: `{version: 1, flags: {<task or glob>: {mode, ...}}}`. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import yaml

from dualrun.contracts import Mode, Safety
from gateway.core.document import DocumentFlaw, DocumentNode, read_document
from gateway.core.errors import FlagRejected, FlagsFileRejected
from gateway.core.flags import HASH_VERSION, Flag, percent_of
from gateway.core.gate_settings import OnWorkerLoss
from gateway.flags.gate_document import gate_members, read_gate
from gateway.flags.rule_document import dump_rules, parse_rules, share_in

__all__ = ["DOCUMENT_VERSION", "dump_flags", "parse_flags"]

DOCUMENT_VERSION = 1
_UNICODE_BREAKS = frozenset("\x85\u2028\u2029")
_TOP = ("version", "flags")
_MEMBERS = (
    "mode",
    "events_percent",
    "shadow_percent",
    "control_percent",
    "safety",
    "salt",
    "hash_version",
    "gate",
    "held",
    "on_worker_loss",
    "cohort_path",
    "shadow_delay_s",
    "rules",
)


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
    text: str = yaml.dump(document, Dumper=_Writer, sort_keys=False, allow_unicode=True, default_flow_style=None, width=140)
    return text


class _Writer(yaml.SafeDumper):
    """Escapes the line breaks of Unicode (NEL, LS, PS): PyYAML writes them as they are, and reads NEL back as a space or a newline."""


def _write_text(writer: _Writer, text: str) -> yaml.ScalarNode:
    style = None if _UNICODE_BREAKS.isdisjoint(text) else '"'
    return writer.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Writer.add_representer(str, _write_text)


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
        events_share=share_in(members, "events_percent"),
        shadow_share=share_in(members, "shadow_percent"),
        control_share=share_in(members, "control_percent"),
        safety=members["safety"].choice(Safety) if "safety" in members else Safety.UNSAFE,
        salt=members["salt"].text() if "salt" in members else "",
        hash_version=members["hash_version"].integer() if "hash_version" in members else HASH_VERSION,
        gate=read_gate(members["gate"]) if "gate" in members else None,
        held=members["held"].boolean() if "held" in members else False,
        on_worker_loss=members["on_worker_loss"].choice(OnWorkerLoss) if "on_worker_loss" in members else OnWorkerLoss.ALERT,
        cohort_path=members["cohort_path"].text() if "cohort_path" in members else "",
        shadow_delay_s=members["shadow_delay_s"].integer() if "shadow_delay_s" in members else 0,
        rules=parse_rules(members["rules"]) if "rules" in members else (),
    )
    try:
        flag.check()
    except FlagRejected as exc:
        member = exc.errors[0].pointer.removeprefix("/").split("/")[0] if exc.errors else ""
        raise members.get(member, node).flaw(str(exc)) from exc
    return flag


def _members(flag: Flag) -> Mapping[str, object]:
    usual = _written(Flag(task=flag.task))
    return {name: value for name, value in _written(flag).items() if name == "mode" or value != usual[name]}


def _written(flag: Flag) -> Mapping[str, object]:
    return {
        "mode": flag.mode.value,
        "events_percent": percent_of(flag.events_share),
        "shadow_percent": percent_of(flag.shadow_share),
        "control_percent": percent_of(flag.control_share),
        "safety": flag.safety.value,
        "salt": flag.salt,
        "hash_version": flag.hash_version,
        "gate": dict(gate_members(flag.gate)) if flag.gate is not None else None,
        "held": flag.held,
        "on_worker_loss": flag.on_worker_loss.value,
        "cohort_path": flag.cohort_path,
        "shadow_delay_s": flag.shadow_delay_s,
        "rules": dump_rules(flag.rules),
    }

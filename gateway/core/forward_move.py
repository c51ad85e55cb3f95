"""Whom a change of flags takes further on the way: each task for itself, whichever flag decides it, before and after. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from gateway.core.flags import Flag, FlagSnapshot
from gateway.core.stages import is_forward, rules_further
from gateway.core.targeting import Rule

__all__ = ["ForwardMove", "forward_moves"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardMove:
    """One task, or a glob for the tasks nobody knows yet, that goes further."""

    name: str
    before: Flag
    """The flag in force, perhaps a glob's; mode legacy where none names the task."""
    after: Flag
    goes_on: bool
    """Whether the flag itself stands further on; else only some of its rules do."""
    rules: tuple[Rule, ...]
    """Those that take somebody further than the flag did."""
    stands_for_tasks: bool = False
    """A glob that names known tasks: each of those it decides is a move of its own."""


def forward_moves(before: FlagSnapshot, after: Mapping[str, Flag], tasks: Collection[str]) -> Iterator[ForwardMove]:
    """The moves of a change to `after`, among the tasks named here and those the flags name; globs come with their tasks."""
    then = FlagSnapshot(version=0, flags=after)
    known = {*tasks, *(name for flags in (before.flags, after) for name, flag in flags.items() if not flag.is_glob)}
    for name in sorted({*known, *after}):
        wanted = then.flag_for(name)
        if wanted is None:
            continue
        present = before.flag_for(name) or Flag(task=name)
        goes_on, rules = is_forward(present, wanted), rules_further(present, wanted)
        if goes_on or rules:
            stands_for_tasks = name not in known and any(fnmatchcase(task, name) for task in known)
            yield ForwardMove(name=name, before=present, after=wanted, goes_on=goes_on, rules=rules, stands_for_tasks=stands_for_tasks)

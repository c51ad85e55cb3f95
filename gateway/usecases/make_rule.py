"""Make a comparison rule: see what it would hide, then save it where rules live."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from gateway.comparison import IgnoreRule, Rule, RuleEffect, ToleranceRule, UnorderedRule, effect_of_rule
from gateway.core.moment import as_utc
from gateway.core.ports import LedgerBrowser, RuleFiles, RuleText

__all__ = ["LOOKED_AT", "MakeRule"]

LOOKED_AT = 1_000
"""The latest comparisons that differ are asked what a rule would hide."""
_SECTIONS: Mapping[type[Rule], str] = {IgnoreRule: "ignore", ToleranceRule: "tolerance", UnorderedRule: "unordered"}


class MakeRule:
    """Rules are files that the comparators follow; who cannot write them here gets the text to put there."""

    def __init__(self, browser: LedgerBrowser, files: RuleFiles, now: Callable[[], datetime]) -> None:
        self._browser = browser
        self._files = files
        self._now = now

    async def effect(self, task: str, rule: Rule) -> RuleEffect:
        """What it would hide among the latest comparisons of the task that differ. Raises `StoreUnavailable`."""
        return effect_of_rule(rule, await self._browser.differing(task, LOOKED_AT), as_utc(self._now()).date())

    def place(self, task: str) -> str | None:
        """The file it would go into; None where this gateway may not write it."""
        return self._files.place(task)

    def text(self, rule: Rule) -> str:
        """The rule as YAML."""
        return self._files.text(_SECTIONS[type(rule)], _members(rule))

    async def save(self, task: str, rule: Rule) -> str:
        """Put it into the task's file and say which that is; comparators follow within seconds, and judge again what is on record.

        Raises `RulesElsewhere`, `RulesRejected`.
        """
        return await self._files.add(task, _SECTIONS[type(rule)], _members(rule))


def _members(rule: Rule) -> RuleText:
    members: dict[str, object] = {"id": rule.id, "path": rule.path, "owner": rule.owner, "reason": rule.reason}
    if rule.expires is not None:
        members["expires"] = rule.expires
    if isinstance(rule, ToleranceRule):
        members |= {name: size for name, size in (("absolute", rule.absolute), ("relative", rule.relative)) if size}
    return members

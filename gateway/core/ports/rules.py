"""Where rules are kept, for whoever adds one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

__all__ = ["RuleFiles", "RuleText"]

RuleText = Mapping[str, object]
"""One rule as its file says it: id, path, owner, reason, and what its kind needs."""


class RuleFiles(Protocol):
    """The folder of rule files."""

    def place(self, task: str) -> str | None:
        """The file a task's rule would go into, for people; None where this process may not write it."""
        ...

    def text(self, section: str, rule: RuleText) -> str:
        """The rule as YAML, to be put into the file by hand."""
        ...

    async def add(self, task: str, section: str, rule: RuleText) -> str:
        """Put a rule into the task's file and say which that is. Raises `RulesElsewhere`, `RulesRejected`."""
        ...

"""The folder of rule files, for a gateway that may write it."""

from __future__ import annotations

import asyncio
import logging
import os
import re
from pathlib import Path

from gateway.core.errors import RulesElsewhere
from gateway.core.ports import RuleText
from gateway.rules.addition import add_rules, rules_text

__all__ = ["FolderOfRules"]

log = logging.getLogger(__name__)

# A task's name is the name of a file here: no separators, nothing hidden, and not the file of all tasks.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:\-]{0,199}")


class FolderOfRules:
    """Implements `RuleFiles`."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        self._lock = asyncio.Lock()

    def place(self, task: str) -> str | None:
        file = self._file(task)
        return None if file is None else str(file)

    def text(self, section: str, rule: RuleText) -> str:
        return rules_text(section, [rule])

    async def add(self, task: str, section: str, rule: RuleText) -> str:
        file = self._file(task)
        if file is None:
            raise RulesElsewhere(f"this gateway has no folder it may write the rules of {task!r} to: put the rule there by hand")
        try:
            async with self._lock:
                added = await asyncio.to_thread(add_rules, file, section, [rule])
        except OSError as exc:
            raise RulesElsewhere(f"{file} cannot be written: {exc.strerror}") from exc
        if not added:
            raise RulesElsewhere(f"{file} has a rule of the id {rule['id']!r} already")
        log.info("rule_added", extra={"task": task, "rule": rule["id"], "file": str(file), "owner": rule.get("owner")})
        return str(file)

    def _file(self, task: str) -> Path | None:
        if self._directory is None or _NAME.fullmatch(task) is None:
            return None
        return self._directory / f"{task}.yaml" if self._directory.is_dir() and os.access(self._directory, os.W_OK) else None

"""The directory of rules: one file a task, and `_default.yaml` for all."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

from gateway.comparison import RuleBook, TaskRules
from gateway.core.errors import RulesRejected
from gateway.rules.document import parse_rules

__all__ = ["load_rules"]

log = logging.getLogger(__name__)

_DEFAULT = "_default"


def load_rules(directory: Path) -> RuleBook:
    """Every `<task>.yaml` of the directory; the rules of `_default.yaml` hold for all tasks, after their own.

    The version is a short hash of names and contents. Raises `RulesRejected` naming file, line and reason: half a set of rules would
    be a different judge, so nothing is taken from a directory with a broken file.
    """
    if not directory.is_dir():
        raise RulesRejected(str(directory), 0, 0, "is not a directory")
    digest = hashlib.sha256()
    read: dict[str, TaskRules] = {}
    for path in sorted(directory.glob("*.yaml")):
        content = _content(path)
        digest.update(f"{path.name}\0{len(content)}\0".encode() + content)
        try:
            text = content.decode()
        except UnicodeDecodeError as exc:
            raise RulesRejected(str(path), 1, 1, f"is not UTF-8: {exc.reason} at byte {exc.start}") from exc
        read[path.stem] = parse_rules(text, str(path))
    default = read.pop(_DEFAULT, TaskRules())
    version = digest.hexdigest()[:12] if read or default != TaskRules() else ""
    log.info("rules_loaded", extra={"directory": str(directory), "tasks": len(read), "ruleset_version": version})
    return RuleBook(version=version, tasks={task: rules.over(default) for task, rules in read.items()}, default=default)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise RulesRejected(str(path), 0, 0, f"cannot be read: {exc.strerror}") from exc

"""Rules added to a file that people write by hand: comments and order stay. Pure but for `add_rules`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from gateway.rules.document import parse_rules

__all__ = ["add_rules", "rules_text", "with_rules"]


def rules_text(section: str, rules: Sequence[Mapping[str, object]]) -> str:
    """The rules as a file of their own would hold them."""
    return _yaml({section: [dict(rule) for rule in rules]})


def with_rules(text: str, section: str, rules: Sequence[Mapping[str, object]], file: str) -> str:
    """The file's text with these rules put first in their section; `file` is for the message.

    Rules whose id it has already are left as they are. Raises `RulesRejected` where it could not be read any more.
    """
    present = _read(text, file)
    known = {rule["id"] for rule in present.get(section) or ()}
    new = [dict(rule) for rule in rules if rule["id"] not in known]
    if not new:
        return text
    heading = re.search(rf"^{re.escape(section)}:[ \t]*(?:#.*)?\n(?P<indent>[ \t]*)(?=- )?", text, re.MULTILINE)
    indent = heading["indent"] if heading is not None and "\n" not in heading["indent"] else "  "
    lines = "".join(f"{indent}{line}\n" for line in _yaml(new).splitlines())
    if heading is None:
        added = f"{text}{'' if not text or text.endswith(chr(10)) else chr(10)}{section}:\n{lines}"
    else:
        beginning = heading.start("indent")
        added = text[:beginning] + lines + text[beginning:]
    parse_rules(added, file)
    return added


def add_rules(file: Path, section: str, rules: Sequence[Mapping[str, object]]) -> bool:
    """Put them into the file, whole or not at all; False where it had them all. Raises `RulesRejected`, `OSError`."""
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    added = with_rules(text, section, rules, str(file))
    if added == text:
        return False
    fresh = file.with_name(f"{file.name}.new")
    fresh.write_text(added, encoding="utf-8")
    fresh.replace(file)
    return True


def _read(text: str, file: str) -> Mapping[str, Any]:
    """What the file holds; nothing where it has comments at most. Raises `RulesRejected`."""
    lines = (line.strip() for line in text.splitlines())
    if all(not line or line.startswith("#") for line in lines):
        return {}
    parse_rules(text, file)
    present: Mapping[str, Any] = yaml.safe_load(text)
    return present


def _yaml(document: object) -> str:
    text: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=140)
    return text

"""Comparison rules as files: `config/rules/<task>.yaml`."""

from __future__ import annotations

from gateway.rules.directory import load_rules
from gateway.rules.document import parse_rules

__all__ = ["load_rules", "parse_rules"]

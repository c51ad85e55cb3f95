"""The pure comparison: two outcomes and a task's rules in, a verdict and typed differences out. No I/O, no clock."""

from __future__ import annotations

from gateway.comparison.rules import IgnoreRule, Rule, RuleBook, TaskRules, ToleranceRule, UnorderedRule
from gateway.comparison.verdict import MAX_DIFFERENCES, compare_outcomes

__all__ = [
    "MAX_DIFFERENCES",
    "IgnoreRule",
    "Rule",
    "RuleBook",
    "TaskRules",
    "ToleranceRule",
    "UnorderedRule",
    "compare_outcomes",
]

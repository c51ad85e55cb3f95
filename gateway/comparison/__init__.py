"""The pure comparison: two outcomes and a task's rules in, a verdict and typed differences out. No I/O, no clock."""

from __future__ import annotations

from gateway.comparison.redaction import Redactor, redacted_places
from gateway.comparison.rule_effect import RuleEffect, effect_of_rule
from gateway.comparison.rules import (
    IgnoreRule,
    OrderedRule,
    RedactionRules,
    Rule,
    RuleBook,
    SynonymRule,
    TaskRules,
    ToleranceRule,
    UnorderedRule,
)
from gateway.comparison.traces import paired_node_times
from gateway.comparison.verdict import MAX_DIFFERENCES, compare_outcomes

__all__ = [
    "MAX_DIFFERENCES",
    "IgnoreRule",
    "OrderedRule",
    "RedactionRules",
    "Redactor",
    "Rule",
    "RuleBook",
    "RuleEffect",
    "SynonymRule",
    "TaskRules",
    "ToleranceRule",
    "UnorderedRule",
    "compare_outcomes",
    "effect_of_rule",
    "paired_node_times",
    "redacted_places",
]

from __future__ import annotations

import re
import time

from hypothesis import given, settings
from hypothesis import strategies as st

from dualrun.broker import Binding, ExchangeKind
from dualrun.broker.memory_routing import Router, topic_matches

WORDS = st.sampled_from(["a", "b", ""])
KEYS = st.lists(WORDS, min_size=1, max_size=5).map(".".join)
PATTERNS = st.lists(st.sampled_from(["a", "b", "*", "#"]), min_size=1, max_size=5).map(".".join)


def _by_expression(pattern: str, key: str) -> bool:
    """The rule again, as a regular expression over words that each end in a dot."""
    parts = {"*": r"[^.]*\.", "#": r"(?:[^.]*\.)*"}
    expression = "".join(parts.get(word, re.escape(word) + r"\.") for word in pattern.split("."))
    return re.fullmatch(expression, f"{key}." if key else "") is not None


@given(PATTERNS, KEYS)
@settings(max_examples=500)
def test_topic_matching_agrees_with_the_rule_written_otherwise(pattern: str, key: str) -> None:
    assert topic_matches(pattern, key) is _by_expression(pattern, key)


def test_a_hostile_pattern_costs_no_time() -> None:
    started_s = time.perf_counter()
    assert not topic_matches(".".join(["#", "a"] * 50 + ["b"]), ".".join(["a"] * 200))
    assert time.perf_counter() - started_s < 1


def test_endless_new_keys_do_not_grow_what_a_router_remembers() -> None:
    router = Router(ExchangeKind.TOPIC)
    router.bind(Binding("e", "q", "#"))
    for number in range(20_000):
        assert router.queues(f"key.{number}", {}) == ("q",)
    assert len(router._known) <= 4096

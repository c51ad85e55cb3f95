"""Who rules name, what cohorts are dealt by, and that percentages only ever add keys."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualrun.contracts import JsonObject, JsonValue, Mode, Reason, Safety, Side
from gateway.core.errors import FlagRejected, UnsafeShadow
from gateway.core.flags import FULL_SHARE, Flag, FlagSnapshot, share_of
from gateway.core.routing import cohort_key_of, decide
from gateway.core.targeting import COHORT_KEY_MAX, Condition, ConditionValue, Operator, Rule, cohort_key_at, first_match

TASK = "order.send_order_confirmation"
STEPS = (0.01, 0.1, 1, 5, 25, 100)
KEYS = 200_000


@dataclass(frozen=True, slots=True)
class Asked:
    """As much of a submission as rules look at."""

    args: tuple[JsonValue, ...] = ()
    kwargs: JsonObject = field(default_factory=dict)
    attributes: JsonObject = field(default_factory=dict)


def condition(path: str, operator: str, value: ConditionValue = None) -> Condition:
    return Condition(path=path, operator=Operator(operator), value=value)


def rule(*when: Condition, name: str = "some", mode: Mode = Mode.EVENTS, events_share: int = 0, shadow_share: int = 0) -> Rule:
    return Rule(name=name, when=when, mode=mode, events_share=events_share, shadow_share=shadow_share)


def holds(path: str, operator: str, value: ConditionValue, asked: Asked) -> bool:
    return first_match((rule(condition(path, operator, value)),), asked) is not None


@pytest.mark.parametrize(
    ("operator", "value", "satisfied", "not_satisfied"),
    [
        ("eq", "acme", ["acme"], ["Acme", "", 1, None, ["acme"]]),
        ("eq", 1, [1, 1.0], [True, "1"]),
        ("eq", True, [True], [1, "true"]),
        ("eq", None, [None], [0, "", False]),
        ("ne", "acme", ["globex", None, 0], ["acme"]),
        ("in", ("acme", 7), ["acme", 7], ["globex", "7", True]),
        ("not_in", ("acme", 7), ["globex", None], ["acme", 7]),
        ("lt", 10, [9, 9.5, -1], [10, 11, "9", True, None]),
        ("le", 10, [10, 9], [10.5]),
        ("gt", 10, [11], [10, "11", False]),
        ("ge", 10, [10, 10**30], [9]),
        ("lt", "m", ["a", "lz"], ["m", "z", 1]),
        ("ge", "2026-11-01", ["2026-11-21"], ["2026-10-31"]),
        ("starts_with", "eu-", ["eu-west"], ["us-east", 1]),
        ("ends_with", "@acme.example", ["ann@acme.example"], ["ann@globex.example", None]),
        ("contains", "beta", ["a beta b", ["beta", 1]], ["alpha", ["beta2"], 1, {"beta": 1}]),
        ("glob", "*@acme.*", ["ann@acme.example"], ["ann@Acme.example", 5]),
        ("exists", None, ["", 0, None, False], []),
        ("missing", None, [], ["", None]),
    ],
)  # fmt: skip
def test_each_operator_compares_like_with_like(
    operator: str, value: ConditionValue, satisfied: list[JsonValue], not_satisfied: list[JsonValue]
) -> None:
    for found, expected in [(found, True) for found in satisfied] + [(found, False) for found in not_satisfied]:
        assert holds("kwargs.x", operator, value, Asked(kwargs={"x": found})) is expected, found


@pytest.mark.parametrize("operator", list(Operator))
def test_where_a_path_leads_nowhere_missing_alone_holds(operator: Operator) -> None:
    value: Mapping[Operator, ConditionValue] = {Operator.IN: ("a",), Operator.NOT_IN: ("a",)}
    for path in ("kwargs.x", "args[0]", "attributes.tenant"):
        assert holds(path, operator, value.get(operator, "a"), Asked()) is (operator is Operator.MISSING)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("kwargs.user.id", 7),
        ("kwargs.items[1].sku", "b"),
        ("kwargs.items[2].sku", None),
        ("kwargs.user[0]", None),
        ("kwargs.name[0]", None),
        ("args[0]", 42),
        ("args[1].region", "eu"),
        ("args[9]", None),
        ("attributes.tenant", "acme"),
    ],
)
def test_paths_go_into_arguments_and_attributes(path: str, found: str | int | None) -> None:
    asked = Asked(
        args=(42, {"region": "eu"}),
        kwargs={"user": {"id": 7}, "items": [{"sku": "a"}, {"sku": "b"}], "name": "ann"},
        attributes={"tenant": "acme"},
    )
    assert holds(path, "eq", found, asked) if found is not None else holds(path, "missing", None, asked)


def test_all_conditions_of_a_rule_hold_and_the_first_rule_counts() -> None:
    eu, acme = condition("attributes.region", "eq", "eu"), condition("attributes.tenant", "eq", "acme")
    rules = (rule(eu, acme, name="both"), rule(eu, name="eu"))
    found = {
        (region, tenant): first_match(rules, Asked(attributes={"region": region, "tenant": tenant}))
        for region in ("eu", "us")
        for tenant in ("acme", "globex")
    }
    assert {key: match and match.name for key, match in found.items()} == {
        ("eu", "acme"): "both",
        ("eu", "globex"): "eu",
        ("us", "acme"): None,
        ("us", "globex"): None,
    }


_values: st.SearchStrategy[JsonValue] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2),
    max_leaves=6,
)


@given(found=_values, operator=st.sampled_from(Operator), value=_values)
def test_no_value_whatever_makes_a_rule_fail(found: JsonValue, operator: Operator, value: JsonValue) -> None:
    compared: ConditionValue = tuple(map(str, value)) if isinstance(value, list) else str(value)
    assert holds("kwargs.a[0].b", operator, compared, Asked(kwargs={"a": found})) in (True, False)


# --- decisions ---


def _snapshot(flag: Flag) -> FlagSnapshot:
    return FlagSnapshot(version=7, flags={flag.task: flag})


def test_a_rule_sets_mode_and_shares_for_who_matches_and_the_decision_names_it() -> None:
    staff = rule(condition("attributes.tenant", "eq", "acme"), name="staff")
    snapshot = _snapshot(Flag(task=TASK, mode=Mode.SHADOW, shadow_share=FULL_SHARE, safety=Safety.PURE, rules=(staff,)))
    matched = decide(TASK, "k", snapshot, Asked(attributes={"tenant": "acme"}))
    assert (matched.mode, matched.authority, matched.shadow) == (Mode.EVENTS, Side.EVENTS, None)
    assert (matched.reason, matched.rule) == (Reason.BY_RULE, "staff")
    other = decide(TASK, "k", snapshot, Asked(attributes={"tenant": "globex"}))
    assert (other.mode, other.shadow, other.reason, other.rule) == (Mode.SHADOW, Side.EVENTS, Reason.BY_MODE, None)


def test_a_canary_of_a_rule_deals_the_same_ring_as_the_flag() -> None:
    matched = Asked(attributes={"tenant": "acme"})
    canary = rule(condition("attributes.tenant", "exists"), mode=Mode.CANARY, events_share=share_of(30))
    by_rule = _snapshot(Flag(task=TASK, rules=(canary,)))
    by_flag = _snapshot(Flag(task=TASK, mode=Mode.CANARY, events_share=share_of(30)))
    for key in range(300):
        ruled, plain = decide(TASK, str(key), by_rule, matched), decide(TASK, str(key), by_flag, matched)
        assert (ruled.authority, ruled.bucket, ruled.reason) == (plain.authority, plain.bucket, plain.reason)
        assert ruled.rule == "some"


def test_raising_a_share_over_200_000_keys_only_ever_adds_keys_and_meets_it() -> None:
    flag = Flag(task=TASK, mode=Mode.CANARY, cohort_path="kwargs.user_id")
    keys = [cohort_key_of(flag, Asked(kwargs={"user_id": number})) or "" for number in range(KEYS)]
    moved: list[set[str]] = []
    for percent in STEPS:
        snapshot = _snapshot(replace(flag, events_share=share_of(percent)))
        moved.append({key for key in keys if decide(TASK, key, snapshot).authority is Side.EVENTS})
        share = percent / 100
        # Five standard deviations of a binomial: one honest hash in a million falls outside.
        assert abs(len(moved[-1]) - KEYS * share) <= 5 * math.sqrt(KEYS * share * (1 - share))
    assert all(smaller < larger for smaller, larger in pairwise(moved))


# --- cohort keys ---


@pytest.mark.parametrize(
    ("value", "key"),
    [("ann", "ann"), (7, "7"), (7.0, "7"), (7.5, "7.5"), (True, "true"), (None, None), ("", None), ([1], None), ({"id": 1}, None)],
)
def test_a_cohort_key_is_a_text_a_number_or_a_truth_value(value: JsonValue, key: str | None) -> None:
    assert cohort_key_at("kwargs.user", Asked(kwargs={"user": value})) == key


def test_a_cohort_key_comes_from_a_header_whatever_its_case() -> None:
    headers = {"x-tenant": "acme"}
    assert cohort_key_at("headers.X-Tenant", Asked(), lambda name: headers.get(name.lower())) == "acme"
    assert cohort_key_at("headers.x-tenant", Asked()) is None


@pytest.mark.parametrize("value", ["x" * (COHORT_KEY_MAX + 1), "a\x00b", "line\nbreak", "\ud800"])
def test_a_key_that_cannot_be_kept_as_it_is_is_dealt_by_its_digest(value: str) -> None:
    key = cohort_key_at("kwargs.user", Asked(kwargs={"user": value}))
    assert key is not None
    assert (len(key), key.isalnum()) == (64, True)
    assert key == cohort_key_at("kwargs.user", Asked(kwargs={"user": value}))


# --- what may be set ---


@pytest.mark.parametrize(
    ("flag", "pointer"),
    [
        (Flag(task=TASK, cohort_path="user_id"), "/cohort_path"),
        (Flag(task=TASK, cohort_path="kwargs"), "/cohort_path"),
        (Flag(task=TASK, cohort_path="args.0"), "/cohort_path"),
        (Flag(task=TASK, cohort_path="kwargs[0]"), "/cohort_path"),
        (Flag(task=TASK, cohort_path="attributes.a.b"), "/cohort_path"),
        (Flag(task=TASK, cohort_path="headers.x.y"), "/cohort_path"),
        (Flag(task=TASK, cohort_path="kwargs.__class__()"), "/cohort_path"),
        (Flag(task=TASK, cohort_path="kwargs." + "x" * 300), "/cohort_path"),
        (Flag(task=TASK, rules=(rule(),)), "/rules/0/when"),
        (Flag(task=TASK, rules=(rule(condition("headers.x", "exists")),)), "/rules/0/when/0/path"),
        (Flag(task=TASK, rules=(rule(condition("kwargs.x", "in", "a")),)), "/rules/0/when/0/value"),
        (Flag(task=TASK, rules=(rule(condition("kwargs.x", "in", ())),)), "/rules/0/when/0/value"),
        (Flag(task=TASK, rules=(rule(condition("kwargs.x", "eq", ("a",))),)), "/rules/0/when/0/value"),
        (Flag(task=TASK, rules=(rule(condition("kwargs.x", "lt", True)),)), "/rules/0/when/0/value"),
        (Flag(task=TASK, rules=(rule(condition("kwargs.x", "exists", 1)),)), "/rules/0/when/0/value"),
        (Flag(task=TASK, rules=(rule(condition("kwargs.x", "glob", 1)),)), "/rules/0/when/0/value"),
        (Flag(task=TASK, rules=(rule(condition("kwargs.x", "exists"), name="a b"),)), "/rules/0/name"),
        (Flag(task=TASK, rules=(rule(condition("kwargs.x", "exists")),) * 2), "/rules/1/name"),
        (Flag(task=TASK, rules=(rule(condition("kwargs.x", "exists"), events_share=100_001),)), "/rules/0/events_percent"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_flag_is_named_with_its_field(flag: Flag, pointer: str) -> None:
    with pytest.raises(FlagRejected) as caught:
        flag.check()
    assert [error.pointer for error in caught.value.errors] == [pointer]


def test_a_rule_cannot_shadow_an_unsafe_task() -> None:
    shadowing = rule(condition("kwargs.x", "exists"), mode=Mode.SHADOW, shadow_share=1)
    with pytest.raises(UnsafeShadow):
        Flag(task=TASK, rules=(shadowing,)).check()
    Flag(task=TASK, rules=(shadowing,), safety=Safety.PURE).check()

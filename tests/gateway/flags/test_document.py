"""The flags document: read, refused with the place, written back."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualrun.contracts import Mode, Safety
from gateway.core.errors import FlagRejected, FlagsFileRejected
from gateway.core.flags import FULL_SHARE, Flag
from gateway.core.targeting import Condition, Operator, Rule
from gateway.flags import dump_flags, parse_flags

ROOT = Path(__file__).parents[3]


def _document(flag: str) -> str:
    return f"version: 1\nflags:\n  cart.merge_carts: {flag}\n"


def _ruled(condition: str) -> str:
    return _document(f"{{mode: legacy, rules: [{{name: a, mode: events, when: [{condition}]}}]}}")


def test_every_member_is_read() -> None:
    text = _document("{mode: canary, events_percent: 0.001, shadow_percent: 12.5, safety: pure, salt: again, hash_version: 1}")
    assert parse_flags(text, "flags.yaml") == {
        "cart.merge_carts": Flag(
            task="cart.merge_carts", mode=Mode.CANARY, events_share=1, shadow_share=12_500, safety=Safety.PURE, salt="again", hash_version=1
        )
    }


def test_members_left_out_have_their_defaults() -> None:
    assert parse_flags(_document("{mode: events}"), "f") == {"cart.merge_carts": Flag(task="cart.merge_carts", mode=Mode.EVENTS)}


@pytest.mark.parametrize(
    ("text", "line", "column", "pointer", "reason"),
    [
        ("", 1, 1, "", "is empty"),
        ("[1, 2]", 1, 1, "", "should be a mapping, is a list"),
        ("version: 1\n", 1, 1, "", "'flags' is missing"),
        ("flags: {}\n", 1, 1, "", "'version' is missing"),
        ("version: 2\nflags: {}\n", 1, 10, "/version", "this release reads version 1"),
        ("version: 1\nflags: {}\nflgs: {}\n", 3, 1, "/flgs", "unknown key 'flgs'; did you mean 'flags'?"),
        ("version: 1\nflags:\n", 2, 7, "/flags", "should be a mapping, is empty"),
        ("version: 1\nflags:\n  a: legacy\n", 3, 6, "/flags/a", "should be a mapping, is 'legacy'"),
        ("version: 1\nflags:\n  a: {mode: legacy}\n  a: {mode: events}\n", 4, 3, "/flags/a", "key 'a' stands here twice"),
        ("version: 1\nflags:\n  1: {mode: legacy}\n", 3, 3, "/flags", "should be a text, is '1'"),
        ("version: 1\nflags:\n  a/b~c: {mode: x}\n", 3, 17, "/flags/a~1b~0c/mode", "should be one of legacy, shadow"),
        (_document("{mode: shdow}"), 3, 28, "~/mode", "should be one of legacy, shadow, canary, mirror, events, is 'shdow'"),
        (_document("{mode: off}"), 3, 28, "~/mode", "is 'off'"),
        (_document("{}"), 3, 21, "~", "'mode' is missing"),
        (_document("{mode: canary, event_percent: 1}"), 3, 36, "~/event_percent", "did you mean 'events_percent'?"),
        (_document("{mode: canary, events_percent: 100.001}"), 3, 52, "~/events_percent", "0 to 100 in steps of 0.001"),
        (_document("{mode: canary, events_percent: -1}"), 3, 52, "~/events_percent", "0 to 100 in steps of 0.001"),
        (_document("{mode: canary, events_percent: 0.0005}"), 3, 52, "~/events_percent", "0 to 100 in steps of 0.001"),
        (_document("{mode: canary, events_percent: '5'}"), 3, 52, "~/events_percent", "should be a number"),
        (_document("{mode: canary, events_percent: true}"), 3, 52, "~/events_percent", "should be a number"),
        (_document("{mode: canary, events_percent: .nan}"), 3, 52, "~/events_percent", "should be a number"),
        (_document("{mode: canary, events_percent: 1" + "0" * 400 + "}"), 3, 52, "~/events_percent", "0 to 100"),
        (_document("{mode: canary, events_percent: 1" + "0" * 9000 + "}"), 3, 52, "~/events_percent", "cannot be read"),
        (_document("{mode: legacy, hash_version: 2}"), 3, 50, "~/hash_version", "this release hashes by version 1"),
        (_document("{mode: shadow, shadow_percent: 5}"), 3, 21, "~", "Declare `safety`"),
        (_document("{mode: shadow, shadow_percent: 5, safety: unsafe}"), 3, 63, "~/safety", "Declare `safety`"),
        (_document("{mode: [legacy]}"), 3, 28, "~/mode", "should be one value, is a list"),
        (_document("{mode: legacy, cohort_path: user}"), 3, 49, "~/cohort_path", "is a path such as args[0]"),
        (_document("{mode: legacy, rules: [{name: a, mode: events}]}"), 3, 44, "~/rules/0", "'when' is missing"),
        (_ruled("{path: 'args[0]', operator: is}"), 3, 103, "~/rules/0/when/0/operator", "should be one of eq, ne"),
        (_ruled("{path: kwargs.x, operator: eq, value: 2026-11-21}"), 3, 113, "~/rules/0/when/0/value", "quote it"),
        (_document("{mode: legacy, rules: [{name: a, mode: events, when: []}]}"), 3, 43, "~/rules", "holds 1 to 20 conditions"),
        ("version: 1\nflags: {a: {mode: legacy}\n", 3, 1, "", "is not YAML"),
        ("version: 1\n---\nversion: 1\n", 2, 1, "", "is not YAML"),
        ("flags: *nowhere\n", 1, 8, "", "is not YAML"),
        ("\0", 1, 1, "", "is not YAML"),
        ("- " * 5_000, 1, 1, "", "is nested too deeply"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_place(text: str, line: int, column: int, pointer: str, reason: str) -> None:
    with pytest.raises(FlagsFileRejected) as caught:
        parse_flags(text, "config/flags.yaml")
    refused = caught.value
    pointer = pointer.replace("~", "/flags/cart.merge_carts", 1) if pointer.startswith("~") else pointer
    assert (refused.line, refused.column, refused.pointer) == (line, column, pointer)
    assert reason in refused.reason
    assert str(refused).startswith(f"config/flags.yaml:{line}:{column}: ")
    assert isinstance(refused, FlagRejected)
    assert refused.errors[0].pointer == pointer


_scalars = st.text(max_size=8) | st.integers(-5, 5) | st.booleans() | st.sampled_from(["yes", "7", "2026-11-21", "null", 1.5])
_conditions = st.builds(
    Condition, path=st.just("kwargs.user.id"), operator=st.just(Operator.IN), value=st.lists(_scalars, min_size=1, max_size=3).map(tuple)
) | st.builds(Condition, path=st.sampled_from(["attributes.tenant", "args[0]"]), operator=st.just(Operator.EQ), value=_scalars)
_rules = st.lists(
    st.builds(
        Rule,
        name=st.from_regex(r"[a-z0-9_.\-]{1,8}", fullmatch=True),
        when=st.lists(_conditions, min_size=1, max_size=3).map(tuple),
        mode=st.sampled_from(Mode),
        events_share=st.integers(0, FULL_SHARE),
        shadow_share=st.integers(0, FULL_SHARE),
    ),
    max_size=3,
    unique_by=lambda rule: rule.name,
).map(tuple)
_flags = st.builds(
    Flag,
    task=st.from_regex(r"[a-z0-9_.*?]{1,20}", fullmatch=True),
    mode=st.sampled_from(Mode),
    events_share=st.integers(0, FULL_SHARE),
    shadow_share=st.integers(0, FULL_SHARE),
    safety=st.sampled_from([Safety.PURE, Safety.IDEMPOTENT, Safety.SANDBOXED]),
    salt=st.sampled_from(["", "again", "2026-11-21", "yes", "7"]),
    cohort_path=st.sampled_from(["", "args[0]", "kwargs.user.id", "headers.x-tenant"]),
    rules=_rules,
)


@given(st.lists(_flags, max_size=6))
def test_what_is_written_is_read_back_the_same(flags: list[Flag]) -> None:
    by_name = {flag.task: flag for flag in flags}
    assert parse_flags(dump_flags(by_name), "f") == by_name


@pytest.mark.parametrize("value", ["\x85", "a\x85b", "\u2028", "\u2029", "\ud800", "\r", "\ufeff", "", True, 1, 1.0, 1e300, "1", "true"])
@pytest.mark.parametrize("operator", [Operator.EQ, Operator.IN])
def test_a_rules_value_is_read_back_as_what_it_was(value: str | float, operator: Operator) -> None:
    written = (value,) if operator is Operator.IN else value
    rule = Rule(name="a", when=(Condition(path="kwargs.x", operator=operator, value=written),), mode=Mode.LEGACY)
    flags = parse_flags(dump_flags({"t": Flag(task="t", mode=Mode.LEGACY, rules=(rule,))}), "f")
    # By their text: True, 1 and 1.0 are equal in Python.
    assert repr(flags["t"].rules) == repr((rule,))


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(FlagsFileRejected):
        parse_flags(text, "f")


def test_the_shipped_flags_can_be_read() -> None:
    path = ROOT / "config" / "flags.yaml"
    flags = parse_flags(path.read_text(encoding="utf-8"), str(path))
    assert {name for name, flag in flags.items() if flag.shadows} == {"order.send_order_confirmation", "learning.add"}
    assert {flag.mode for flag in flags.values()} == {Mode.LEGACY, Mode.SHADOW}

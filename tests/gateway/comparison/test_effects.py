"""Effects: multisets by kind and key."""

from __future__ import annotations

import uuid

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualrun.contracts import Effect, Role
from gateway.comparison import TaskRules, compare_outcomes
from gateway.comparison.paths import texts_in, without_texts
from gateway.core.comparison import DifferenceKind, Verdict
from tests.support.comparing import an_outcome, effects_compared, found

MAIL = Effect(kind="email", key="to:ann@example.org", payload={"subject": "Order 1", "to": ["ann@example.org", "bob@example.org"]})
PUT = Effect(kind="http", key="POST http://shop:8080/orders/1/status", payload={"status": "paid"})


def _mail(subject: str, to: tuple[str, ...] = ("ann@example.org", "bob@example.org")) -> Effect:
    return Effect(kind="email", key="to:ann@example.org", payload={"subject": subject, "to": list(to)})


def test_the_same_effects_are_equal_whoever_performed_them() -> None:
    shadow = [Effect(kind=one.kind, key=one.key, payload=one.payload, performed=False) for one in (MAIL, PUT)]
    assert effects_compared([MAIL, PUT], shadow) == (Verdict.EQUAL, ())


def test_effects_with_different_keys_may_come_in_any_order() -> None:
    assert effects_compared([MAIL, PUT], [PUT, MAIL]) == (Verdict.EQUAL, ())


def test_effects_with_one_key_come_in_order() -> None:
    result = effects_compared([_mail("a"), PUT, _mail("b")], [_mail("b"), _mail("a"), PUT])
    assert found(result) == [("order", "/effects/email/to:*")]
    assert result[0] is Verdict.DIFFERENT_EFFECT


def test_a_missing_effect_is_found() -> None:
    result = effects_compared([MAIL, PUT], [PUT])
    assert found(result) == [("effect_missing", "/effects/email/to:*")]
    assert result[1][0].shadow is None


def test_an_effect_done_twice_is_extra() -> None:
    assert found(effects_compared([MAIL], [MAIL, MAIL])) == [("effect_extra", "/effects/email/to:*")]


def test_a_changed_payload_is_named_by_its_inner_path() -> None:
    result = effects_compared([_mail("Order 1")], [_mail("Order 2")])
    assert found(result) == [("effect_changed", "/effects/email/to:*/subject")]
    assert (result[1][0].authority, result[1][0].shadow) == ("Order 1", "Order 2")


def test_another_order_inside_a_payload_keeps_its_kind() -> None:
    swapped = _mail("Order 1", ("bob@example.org", "ann@example.org"))
    assert found(effects_compared([MAIL], [swapped])) == [("order", "/effects/email/to:*/to")]


def test_members_of_a_payload_list_that_are_missing_change_the_effect() -> None:
    fewer = _mail("Order 1", ("ann@example.org",))
    assert set(found(effects_compared([MAIL], [fewer]))) == {
        ("effect_changed", "/effects/email/to:*/to"),
        ("effect_changed", "/effects/email/to:*/to/[*]"),
    }


def test_another_key_is_one_missing_and_one_extra() -> None:
    other = Effect(kind="http", key="POST http://shop:8080/orders/2/status", payload={"status": "paid"})
    assert set(found(effects_compared([PUT], [other]))) == {
        ("effect_missing", "/effects/http/POST */orders/*/status"),
        ("effect_extra", "/effects/http/POST */orders/*/status"),
    }


def test_an_error_the_outside_answered_with_counts() -> None:
    failed = Effect(kind=PUT.kind, key=PUT.key, payload=PUT.payload, error="Timeout")
    assert found(effects_compared([PUT], [failed])) == [("effect_changed", "/effects/http/POST */orders/*/status/error")]


@pytest.mark.parametrize(
    ("kind", "key", "path"),
    [
        ("http", "POST http://127.0.0.1:43211/users/7/verify?token=abc&x=1", "/effects/http/POST */users/*/verify?token=*&x=*"),
        ("http", "GET https://shop.example/api/v1/carts/9f8b1c1e-0000-4000-8000-0242ac130003", "/effects/http/GET */api/v1/carts/*"),
        ("email", "to:ann.b+c@example.org", "/effects/email/to:*"),
        ("sql", "INSERT order_items", "/effects/sql/INSERT order_items"),
        ("sql", "UPDATE users2", "/effects/sql/UPDATE users2"),
        ("message", "order.paid", "/effects/message/order.paid"),
        ("cache", "set session:Zx81kQ-ab12cd34ef56gh78", "/effects/cache/set session:*"),
        ("cache", "set SKU-00042", "/effects/cache/set SKU-*"),
        ("cache", "incr cart:u40:v2", "/effects/cache/incr cart:*:v2"),
        ("http", "PUT http://shop/v1/carts/u40/merges/a40", "/effects/http/PUT */v1/carts/*/merges/*"),
        ("http", "POST https://auth/oauth2/token", "/effects/http/POST */oauth2/token"),
        ("file", "exports/2026/a7.csv", "/effects/file/exports/*/*"),
        ("own kind", "k", "/effects/*/k"),
    ],
)
def test_keys_of_one_fault_have_one_path(kind: str, key: str, path: str) -> None:
    assert found(effects_compared([Effect(kind=kind, key=key)], [])) == [("effect_missing", path)]


def test_the_same_fault_in_many_submissions_is_one_group() -> None:
    paths = set()
    for n in range(500):
        order = uuid.UUID(int=n * 7919, version=4)
        ours = [Effect(kind="http", key=f"POST http://shop:8080/orders/{order}/items/{n}", payload={"at": n})]
        paths |= set(found(effects_compared(ours, [])))
    assert len(paths) == 1


def test_generated_ids_are_paired_across_value_and_effects() -> None:
    def outcome(role: Role, made: str, mailed: str) -> tuple[dict[str, str], list[Effect]]:
        return {"id": made}, [Effect(kind="email", key=f"to:{role}" if role == "x" else "to:a@b.c", payload={"text": f"Order {mailed}"})]

    first, second, third = (str(uuid.UUID(int=n * 7919, version=4)) for n in (1, 2, 3))
    ours_value, ours_effects = outcome(Role.AUTHORITY, first, first)
    same_value, same_effects = outcome(Role.SHADOW, second, second)
    wrong_value, wrong_effects = outcome(Role.SHADOW, second, third)
    authority = an_outcome(Role.AUTHORITY, ours_value, effects=ours_effects)
    same = an_outcome(Role.SHADOW, same_value, effects=same_effects)
    wrong = an_outcome(Role.SHADOW, wrong_value, effects=wrong_effects)
    assert compare_outcomes(authority, same, TaskRules()) == (Verdict.EQUAL_AFTER_NORMALISE, ())
    assert compare_outcomes(authority, wrong, TaskRules())[0] is not Verdict.EQUAL_AFTER_NORMALISE


def test_effects_nobody_kept_are_not_known_to_be_equal() -> None:
    ours = an_outcome(Role.AUTHORITY, effects=[MAIL], effects_dropped=3)
    theirs = an_outcome(Role.SHADOW, effects=[MAIL])
    result = compare_outcomes(ours, theirs, TaskRules())
    assert found(result) == [("truncated", "/effects")]
    assert result[0] is Verdict.DIFFERENT_EFFECT


def test_effects_of_a_failed_run_are_compared_too() -> None:
    ours = an_outcome(Role.AUTHORITY, error="OutOfStock", effects=[MAIL])
    theirs = an_outcome(Role.SHADOW, error="OutOfStock")
    assert found(compare_outcomes(ours, theirs, TaskRules())) == [("effect_missing", "/effects/email/to:*")]


def test_what_a_submission_was_called_with_is_no_path() -> None:
    texts = texts_in({"args": ["ann", 7, {"cart": "spring-sale"}], "kwargs": {"kind": "gift"}})
    assert without_texts("/effects/http/GET */users/ann/carts/spring-sale/name", texts) == "/effects/http/GET */users/*/carts/*/name"
    assert without_texts("/trace/http:GET:shop/users/ann/db:sqlite", texts) == "/trace/http:GET:shop/users/*/db:sqlite"
    assert without_texts("/value/ann", texts) == "/value/ann"
    assert without_texts("/effects/sql/INSERT ann", texts) == "/effects/sql/INSERT ann"


def test_hostile_arguments_are_looked_at_for_a_moment_only() -> None:
    assert len(texts_in([f"text {n}" for n in range(100_000)])) < 1_000


def test_effects_both_sides_had_no_room_for_are_neither_equal_nor_different() -> None:
    ours, theirs = (an_outcome(role, effects=[MAIL], effects_dropped=3) for role in Role)
    result = compare_outcomes(ours, theirs, TaskRules())
    assert (result[0], found(result)) == (Verdict.INCOMPLETE, [("incomplete", "/effects")])
    one_more = an_outcome(Role.SHADOW, effects=[MAIL], effects_dropped=4)
    assert compare_outcomes(ours, one_more, TaskRules())[0] is Verdict.DIFFERENT_EFFECT
    other = an_outcome(Role.SHADOW, effects=[msgspec.structs.replace(MAIL, key="to:else")], effects_dropped=3)
    assert compare_outcomes(ours, other, TaskRules())[0] is Verdict.DIFFERENT_EFFECT


@given(order=st.permutations(range(4)), apart=st.tuples(st.booleans(), st.booleans()), lose=st.booleans())
def test_calls_to_one_place_have_an_order_only_where_both_sides_made_them_one_after_the_other(
    order: list[int], apart: tuple[bool, bool], lose: bool
) -> None:
    ours = [msgspec.structs.replace(_mail(f"n {n}"), concurrent=apart[0]) for n in range(4)]
    theirs = [msgspec.structs.replace(_mail(f"n {n}"), concurrent=apart[1]) for n in order][: 3 if lose else 4]
    verdict, differences = effects_compared(ours, theirs)
    if lose:
        assert verdict is Verdict.DIFFERENT_EFFECT
    elif any(apart) or order == [0, 1, 2, 3]:
        assert (verdict, differences) == (Verdict.EQUAL, ())
    else:
        assert [one.kind for one in differences] == [DifferenceKind.ORDER]


def test_what_is_concurrent_is_found_again_where_keys_hold_ids_of_the_run() -> None:
    def side(order: tuple[str, str]) -> list[Effect]:
        made_up = uuid.uuid4()
        return [Effect(kind="http", key=f"POST http://x/{made_up}", payload={"n": n}, concurrent=True) for n in order]

    assert effects_compared(side(("a", "b")), side(("b", "a")))[0].is_same

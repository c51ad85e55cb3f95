"""A key the database gives to a row is another in each run, and wherever it goes the runs did the same; any other number counts."""

from __future__ import annotations

import msgspec
import pytest

from dualrun.contracts import Effect, GeneratedKey, JsonValue, Outcome, Role
from gateway.comparison import Redactor, TaskRules, compare_outcomes
from gateway.comparison.rules import UnorderedRule
from gateway.core.comparison import Verdict
from tests.support.comparing import an_outcome, found

AFTER = Verdict.EQUAL_AFTER_NORMALISE


def _keys(**values: int) -> tuple[GeneratedKey, ...]:
    return tuple(GeneratedKey(name=f"{name}#1", value=str(value)) for name, value in values.items())


def _run(role: Role, keys: tuple[GeneratedKey, ...], value: JsonValue = None, *effects: Effect) -> Outcome:
    return msgspec.structs.replace(an_outcome(role, value, effects=effects), generated=keys)


def _values(ours: JsonValue, theirs: JsonValue, rules: TaskRules | None = None) -> tuple[Verdict, list[tuple[str, str]]]:
    pair = _run(Role.AUTHORITY, _keys(orders=17, parcels=40), ours), _run(Role.SHADOW, _keys(orders=18, parcels=41), theirs)
    result = compare_outcomes(*pair, rules or TaskRules())
    return result[0], found(result)


def _effects(ours: list[Effect], theirs: list[Effect]) -> tuple[Verdict, list[tuple[str, str]]]:
    pair = _run(Role.AUTHORITY, _keys(orders=17, parcels=40), None, *ours), _run(Role.SHADOW, _keys(orders=18, parcels=41), None, *theirs)
    result = compare_outcomes(*pair)
    return result[0], found(result)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (17, 18),
        ("17", "18"),
        ({"order": {"id": 17, "parcels": [40]}}, {"order": {"id": 18, "parcels": [41]}}),
        ({"17": "paid"}, {"18": "paid"}),
        ("/orders/17/parcels/40.pdf", "/orders/18/parcels/41.pdf"),
        ("Order #17 of 3 goes out", "Order #18 of 3 goes out"),
        ({"at": "2026-11-21T09:30:00Z", "id": 17}, {"at": "2026-11-21T09:30:01Z", "id": 18}),
    ],
)
def test_the_same_new_row_by_another_key_is_equal_after_normalising(ours: JsonValue, theirs: JsonValue) -> None:
    assert _values(ours, theirs) == (AFTER, [])


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (17, 41),  # the key of another row
        (17, 19),  # no key of the shadow's
        (16, 18),  # no key of the authority's
        (18, 17),  # each the other's
        ("order 17", "order 41"),
        ("order17", "order18"),
        (17, "18"),
        (17.0, 18.0),
        ({"id": 17, "total": 5}, {"id": 18, "total": 6}),
        ({"17": "paid"}, {"41": "paid"}),
        ([17, 40], [18]),
    ],
)
def test_any_other_number_differs(ours: JsonValue, theirs: JsonValue) -> None:
    verdict, _ = _values(ours, theirs)
    assert verdict is Verdict.DIFFERENT_VALUE


def test_a_number_both_have_is_compared_as_it_is() -> None:
    assert _values(17, 17) == (Verdict.EQUAL, [])
    assert _values({"id": 17, "was": 17}, {"id": 18, "was": 17}) == (AFTER, [])
    assert _values({"id": 17, "was": 17}, {"id": 17, "was": 18})[0] is AFTER


def test_only_what_differs_otherwise_is_reported_beside_a_key() -> None:
    assert _values({"id": 17, "total": 5}, {"id": 18, "total": 6}) == (Verdict.DIFFERENT_VALUE, [("value", "/value/total")])
    assert _values([17, 40, 3], [18, 41]) == (Verdict.DIFFERENT_VALUE, [("length", "/value"), ("missing", "/value/[*]")])


def test_keys_of_rows_in_another_order_are_told_from_other_keys() -> None:
    rules = TaskRules(unordered=(UnorderedRule(id="u", path="/value", owner="o", reason="r"),))
    assert _values([17, 40], [41, 18], rules)[0] is Verdict.IGNORED
    assert _values([17, 40], [41, 18]) == (Verdict.DIFFERENT_VALUE, [("order", "/value")])


def test_an_effect_on_the_new_row_is_the_same_effect_in_key_and_payload() -> None:
    def done(order: int, parcel: int) -> list[Effect]:
        return [
            Effect(kind="message", key="order.pack", payload={"order_id": order, "copies": 2}),
            Effect(kind="message", key="order.pack", payload={"order_id": 5, "copies": 2}),
            Effect(kind="http", key=f"POST http://shop/orders/{order}/parcels?n={parcel}", payload={"body": {"id": parcel}}),
            Effect(kind="email", key="to:a@x.org", payload={"text": f"Your order {order} is on its way"}),
            Effect(kind="sql", key=f"UPDATE lines order={order}", payload={"where": f"id in ( {order} , {parcel} )"}),
        ]

    assert _effects(done(17, 40), done(18, 41)) == (AFTER, [])
    assert _effects(done(17, 40), done(18, 42))[0] is Verdict.DIFFERENT_EFFECT


def test_an_effect_on_another_row_or_none_is_found_beside_one_on_the_new_row() -> None:
    ours = [Effect(kind="http", key="POST http://shop/orders/17"), Effect(kind="message", key="pack", payload={"id": 17})]
    wrong = [Effect(kind="http", key="POST http://shop/orders/41"), Effect(kind="message", key="pack", payload={"id": 18})]
    assert [kind for kind, _ in _effects(ours, wrong)[1]] == ["effect_missing", "effect_extra"]
    assert _effects(ours, [Effect(kind="http", key="POST http://shop/orders/18")])[1] == [("effect_missing", "/effects/message/pack")]


def test_concurrent_children_of_new_rows_have_no_order() -> None:
    ours = [Effect(kind="message", key="pack", payload={"id": n}, concurrent=True) for n in (17, 5, 40)]
    theirs = [Effect(kind="message", key="pack", payload={"id": n}, concurrent=True) for n in (41, 18, 5)]
    assert _effects(ours, theirs) == (AFTER, [])
    assert _effects(ours, [*theirs[:2], msgspec.structs.replace(theirs[2], payload={"id": 6})])[0] is Verdict.DIFFERENT_EFFECT


@pytest.mark.parametrize("returned", [True, False])
def test_the_new_row_is_recognised_under_the_name_of_a_secret_too(returned: bool) -> None:
    redactor = Redactor("k")
    for field in ("session_id", "id"):
        payload: list[dict[str, JsonValue]] = [{"set": {field: key}, "link": f"http://x/?{field}={key}"} for key in (17, 18)]
        pair = (
            _run(
                Role.AUTHORITY,
                _keys(sessions=17),
                {field: 17} if returned else None,
                Effect(kind="sql", key="INSERT log", payload=payload[0]),
            ),
            _run(
                Role.SHADOW, _keys(sessions=18), {field: 18} if returned else None, Effect(kind="sql", key="INSERT log", payload=payload[1])
            ),
        )
        kept = [redactor.outcome(redactor.outcome(one, TaskRules()), TaskRules()) for one in pair]
        assert (field == "id") == ("secret" not in str(kept[1]))
        ours, theirs, _ = redactor.comparable(kept[0], kept[1], TaskRules())
        assert compare_outcomes(ours, theirs)[0] is AFTER
        other = msgspec.structs.replace(theirs, generated=_keys(sessions=19))
        assert compare_outcomes(ours, other)[0] is Verdict.DIFFERENT_EFFECT


def test_a_returned_key_under_the_name_of_a_secret_is_recognised_though_the_caller_reads_the_authoritys() -> None:
    redactor = Redactor("k")
    pair = _run(Role.AUTHORITY, _keys(sessions=17), {"session_id": 17}), _run(Role.SHADOW, _keys(sessions=18), {"session_id": 18})
    authority, shadow = (redactor.outcome(one, TaskRules()) for one in pair)
    assert (authority.value, shadow.value == {"session_id": 18}) == ({"session_id": 17}, False)
    assert compare_outcomes(*redactor.comparable(authority, shadow, TaskRules())[:2])[0] is AFTER


def test_a_thousand_new_rows_in_reverse_are_compared_in_a_bounded_time() -> None:
    def many(role: Role, first: int, step: int) -> Outcome:
        keys = tuple(GeneratedKey(name=f"t#{n}", value=str(first + n)) for n in range(1_000))
        effects = [Effect(kind="http", key=f"POST http://x/{first + n}") for n in range(1_000)][::step]
        return msgspec.structs.replace(an_outcome(role, effects=effects), generated=keys)

    assert compare_outcomes(many(Role.AUTHORITY, 10_000, 1), many(Role.SHADOW, 50_000, 1))[0] is AFTER
    assert compare_outcomes(many(Role.AUTHORITY, 10_000, 1), many(Role.SHADOW, 50_000, -1))[0] in {AFTER, Verdict.DIFFERENT_EFFECT}

"""Every kind of fault a port can have, planted one at a time: each is found, under its aspect and path, and nothing else with it."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualrun.contracts import Effect, Failure, JsonValue, Outcome, Role, Side, SpanRecord, State
from gateway.comparison import OrderedRule, SynonymRule, TaskRules, UnorderedRule, compare_outcomes
from gateway.core.comparison import Verdict
from tests.support.comparing import START, an_outcome

ETA = START - timedelta(seconds=5)
RULES = TaskRules(
    unordered=(UnorderedRule(id="tags", path="/value/tags", owner="ann", reason="a set"),),
    ordered=(OrderedRule(id="pay-first", path="/effects/**", owner="ann", reason="charge before telling"),),
    errors=(SynonymRule(id="httpx", path="/error", owner="ann", reason="x", legacy="HTTPError", events="HTTPStatusError"),),
    states=(SynonymRule(id="reject", path="/state", owner="ann", reason="x", legacy="rejected", events="failed"),),
)


def span(name: str, number: int, parent: int = 0, *, offset_ms: float = 0.0, status: str = "unset", **attributes: JsonValue) -> SpanRecord:
    dotted = {key.replace("__", "."): value for key, value in attributes.items()}
    root = {"dualrun.submission_id": "0"} if name.startswith("execute:") else {}
    return SpanRecord(
        name=name,
        span_id=f"{number:016x}",
        parent_id=f"{parent:016x}",
        offset_ms=offset_ms,
        duration_ms=1.0,
        status=status,
        attributes={**root, **dotted},
    )


def _effects() -> list[Effect]:
    return [
        Effect(kind="http", key="POST http://bank/charges/17", payload={"body": {"amount": "12.50", "currency": "EUR"}}),
        Effect(kind="sql", key="orders id=17", payload={"operation": "update", "columns": {"state": "paid", "paid_by": "card"}, "rows": 1}),
        Effect(kind="cache", key="SET order:17", payload={"value": "paid", "ttl_s": 60}),
        Effect(kind="message", key="order.paid", payload={"order": 17}),
        Effect(kind="task", key="mail.receipt", payload={"args": [17], "kwargs": {}}),
        Effect(kind="email", key="to:ann@example.org", payload={"subject": "Paid", "text": "Thank you."}),
        Effect(kind="file", key="receipts/17.pdf", payload={"sha256": "ab12", "bytes": 900}),
        Effect(kind="audit", key="order 17", payload={"by": "worker"}),
    ]


def _spans() -> list[SpanRecord]:
    return [
        span("execute:shop.task", 1, 99),
        span("SELECT shop", 2, 1, offset_ms=1, db__system="postgresql", db__statement="SELECT id FROM orders WHERE id = 17"),
        span("price the order", 3, 1, offset_ms=3),
        span("http:GET:prices/items/17", 4, 3, offset_ms=4),
        span("http:POST:bank/charges/17", 5, 1, offset_ms=6),
        span("email:send", 6, 1, offset_ms=8),
    ]


def _value() -> dict[str, JsonValue]:
    return {
        "order": 17,
        "total": "12.50",
        "paid": True,
        "items": [{"sku": "a", "n": 1}, {"sku": "b", "n": 2}],
        "tags": ["gift", "web"],
        "note": None,
        "address": {"city": "Oslo", "lines": ["1", "2"]},
    }


def base(role: Role) -> Outcome:
    outcome = an_outcome(role, _value(), effects=_effects())
    return msgspec.structs.replace(outcome, spans=tuple(_spans()), attempts=3, retry_delays_s=(1.0, 10.0))


Change = Callable[[Outcome], Outcome]


def value(change: Mapping[str, JsonValue], *without: str) -> Change:
    def changed(outcome: Outcome) -> Outcome:
        kept = {key: member for key, member in _value().items() if key not in without}
        return msgspec.structs.replace(outcome, value={**kept, **change})

    return changed


def effects(change: Callable[[list[Effect]], list[Effect]]) -> Change:
    return lambda outcome: msgspec.structs.replace(outcome, effects=tuple(change(list(outcome.effects))))


def effect(kind: str, **members: object) -> Change:
    return effects(lambda all_: [msgspec.structs.replace(one, **members) if one.kind == kind else one for one in all_])


def lost(kind: str) -> Change:
    return effects(lambda all_: [one for one in all_ if one.kind != kind])


def twice(kind: str) -> Change:
    return effects(lambda all_: [*all_, *(one for one in all_ if one.kind == kind)])


def spans(change: Callable[[list[SpanRecord]], list[SpanRecord]]) -> Change:
    return lambda outcome: msgspec.structs.replace(outcome, spans=tuple(change(list(outcome.spans))))


def outcome(**members: object) -> Change:
    return lambda one: msgspec.structs.replace(one, **members)


def failed(kind: str, **members: object) -> Change:
    return outcome(state=State.FAILED, failure=Failure(kind=kind), value=None, **members)


_unchanged: Change = outcome()


@dataclass(frozen=True)
class Fault:
    name: str
    shadow: Change
    aspect: str
    kind: str
    path: str
    authority: Change = _unchanged


FAULTS = [
    # states and errors
    Fault("it fails", failed("KeyError"), "state", "state", "/state"),
    Fault("a swallowed exception", outcome(), "state", "state", "/state", authority=failed("OutOfStock")),
    Fault("another error", failed("KeyError"), "error", "error", "/error", authority=failed("OutOfStock")),
    Fault("expired instead of run", outcome(state=State.EXPIRED), "state", "state", "/state"),
    Fault("ignored instead of failed", outcome(state=State.IGNORED), "state", "state", "/state", authority=failed("OutOfStock")),
    Fault("dead-lettered", outcome(state=State.DEAD_LETTERED), "state", "state", "/state"),
    Fault("an error mapped to another", failed("Timeout"), "error", "error", "/error", authority=failed("HTTPError")),
    # values
    Fault("wrong rounding", value({"total": "12.49"}), "value", "value", "/value/total"),
    Fault("a number for a text", value({"total": 12.5}), "value", "type", "/value/total"),
    Fault("a lost member", value({}, "paid"), "value", "missing", "/value/paid"),
    Fault("a member too many", value({"debug": 1}), "value", "extra", "/value/debug"),
    Fault("null for a value", value({"paid": None}), "value", "type", "/value/paid"),
    Fault("a flipped boolean", value({"paid": False}), "value", "value", "/value/paid"),
    Fault("true for 1", value({"items": [{"sku": "a", "n": True}, {"sku": "b", "n": 2}]}), "value", "type", "/value/items/[*]/n"),
    Fault("another order of items", value({"items": [{"sku": "b", "n": 2}, {"sku": "a", "n": 1}]}), "value", "order", "/value/items"),
    Fault("a wrong member of an unordered list", value({"tags": ["web", "gold"]}), "value", "value", "/value/tags/[*]"),
    Fault("a nested value", value({"address": {"city": "Bergen", "lines": ["1", "2"]}}), "value", "value", "/value/address/city"),
    Fault("nothing returned", outcome(value=None), "value", "type", "/value"),
    # effects: each kind lost, done twice, changed
    *(Fault(f"no {kind}", lost(kind), "effects", "effect_missing", path) for kind, path in (
        ("http", "/effects/http/POST */charges/*"),
        ("sql", "/effects/sql/orders id=*"),
        ("cache", "/effects/cache/SET order:*"),
        ("message", "/effects/message/order.paid"),
        ("task", "/effects/task/mail.receipt"),
        ("email", "/effects/email/to:*"),
        ("file", "/effects/file/receipts/*.pdf"),
        ("audit", "/effects/audit/order *"),
    )),
    Fault("charged twice", twice("http"), "effects", "effect_extra", "/effects/http/POST */charges/*"),
    Fault("a child task twice", twice("task"), "effects", "effect_extra", "/effects/task/mail.receipt"),
    Fault("a second message", twice("message"), "effects", "effect_extra", "/effects/message/order.paid"),
    Fault("another amount", effect("http", payload={"body": {"amount": "12.05", "currency": "EUR"}}), "effects", "effect_changed",
          "/effects/http/POST */charges/*/body/amount"),
    Fault("another column", effect("sql", payload={"operation": "update", "columns": {"state": "paid", "paid_by": "cash"}, "rows": 1}),
          "effects", "effect_changed", "/effects/sql/orders id=*/columns/paid_by"),
    Fault("more rows", effect("sql", payload={"operation": "update", "columns": {"state": "paid", "paid_by": "card"}, "rows": 900}),
          "effects", "effect_changed", "/effects/sql/orders id=*/rows"),
    Fault("no expiry in the cache", effect("cache", payload={"value": "paid", "ttl_s": None}), "effects", "effect_changed",
          "/effects/cache/SET order:*/ttl_s"),
    Fault("a child task with other arguments", effect("task", payload={"args": [71], "kwargs": {}}), "effects", "effect_changed",
          "/effects/task/mail.receipt/args/[*]"),
    Fault("another subject", effect("email", payload={"subject": "Payed", "text": "Thank you."}), "effects", "effect_changed",
          "/effects/email/to:*/subject"),
    Fault("another file", effect("file", payload={"sha256": "cd34", "bytes": 900}), "effects", "effect_changed",
          "/effects/file/receipts/*.pdf/sha256"),
    Fault("the outside refuses", effect("http", error="ConnectionError"), "effects", "effect_changed",
          "/effects/http/POST */charges/*/error"),
    Fault("told before charged", effects(lambda all_: [*all_[1:], all_[0]]), "effects", "order", "/effects/**"),
    Fault("effects that were dropped", outcome(effects_dropped=3), "effects", "truncated", "/effects"),
    # attempts and schedule
    Fault("one attempt less", outcome(attempts=2, retry_delays_s=(1.0,)), "schedule", "attempts", "/schedule/attempts"),
    Fault("no retry at all", outcome(attempts=1, retry_delays_s=()), "schedule", "attempts", "/schedule/attempts"),
    Fault("no backoff", outcome(retry_delays_s=(1.0, 1.0)), "schedule", "retry_delay", "/schedule/delays/[*]"),
    Fault("an eta that is not waited for", outcome(attempts=1, retry_delays_s=(), started_at=ETA - timedelta(minutes=5)), "schedule",
          "early", "/schedule/eta", authority=outcome(attempts=1, retry_delays_s=())),
    # traces
    Fault("a step left out", spans(lambda all_: all_[:2] + all_[4:]), "trace", "span_missing", "/trace/price the order"),
    Fault("a step too many", spans(lambda all_: [*all_, span("audit again", 9, 1, offset_ms=20)]), "trace", "span_extra",
          "/trace/audit again"),
    Fault("a nested call left out", spans(lambda all_: [one for one in all_ if one.span_id != f"{4:016x}"]), "trace", "span_missing",
          "/trace/price the order/http:GET:prices/items/*"),
    Fault("a query in a loop", spans(lambda all_: [*all_, *(
        span("SELECT shop", 20 + n, 1, offset_ms=20 + n, db__system="postgresql", db__statement=f"SELECT id FROM orders WHERE id = {n}")
        for n in range(8))]), "trace", "span_n_plus_one", "/trace/db:postgresql:select:orders"),
    Fault("asked twice", spans(lambda all_: [*all_, span("http:GET:prices/items/18", 9, 3, offset_ms=5.5)]), "trace", "span_count",
          "/trace/price the order/http:GET:prices/items/*"),
    Fault("a call that fails inside", spans(lambda all_: [*all_[:3], msgspec.structs.replace(all_[3], status="error"), *all_[4:]]),
          "trace", "span_status", "/trace/price the order/http:GET:prices/items/*"),
    Fault("mailed before charged", spans(lambda all_: [*all_[:4], msgspec.structs.replace(all_[4], offset_ms=9.0), all_[5]]), "trace",
          "span_order", "/trace"),
    Fault("spans that were dropped", outcome(spans_dropped=4), "trace", "incomplete", "/trace"),
    Fault("no spans at all", outcome(spans=()), "trace", "incomplete", "/trace"),
    Fault("spans cut off from their parents", spans(lambda all_: [one for one in all_ if one.span_id != f"{3:016x}"]), "trace",
          "incomplete", "/trace"),
]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_planted_fault_is_found_under_its_aspect_and_path(fault: Fault) -> None:
    verdict, differences = compare_outcomes(fault.authority(base(Role.AUTHORITY)), fault.shadow(base(Role.SHADOW)), RULES, eta=ETA)
    assert not verdict.is_same
    told = [(one.aspect.value, one.kind.value, one.path) for one in differences if one.ignored_by is None]
    assert told == [(fault.aspect, fault.kind, fault.path)]
    assert verdict.is_different is (fault.kind != "incomplete")


def test_the_catalogue_is_large_and_every_aspect_is_in_it() -> None:
    assert len(FAULTS) >= 40
    assert {fault.aspect for fault in FAULTS} == {"state", "error", "value", "effects", "schedule", "trace"}


def test_a_fault_is_found_under_generated_ids_and_times_too() -> None:
    rng = random.Random(7)
    ours, theirs = faithful(rng, Role.AUTHORITY), faithful(rng, Role.SHADOW)
    wrong = msgspec.structs.replace(theirs, effects=theirs.effects[:-1])
    verdict, differences = compare_outcomes(ours, wrong, PORT_RULES)
    assert verdict is Verdict.DIFFERENT_EFFECT
    assert [one.path for one in differences if one.ignored_by is None] == ["/effects/email/to:*"]


PORT_RULES = TaskRules(unordered=(UnorderedRule(id="set", path="/value/labels", owner="ann", reason="a set"),))


def faithful(rng: random.Random, role: Role) -> Outcome:
    """One side of a faithful port: ids and times of its own, members, concurrent effects and labels in an order of its own."""
    began = START + timedelta(seconds=rng.uniform(0, 30))
    order, batch = (str(uuid.UUID(int=rng.getrandbits(128), version=4)) for _ in range(2))
    lines = [{"sku": f"s{n}", "line": str(uuid.UUID(int=rng.getrandbits(128), version=4))} for n in range(3)]
    labels: list[JsonValue] = ["a", "b", "c"]
    rng.shuffle(labels)
    members: list[tuple[str, JsonValue]] = [
        ("order", order),
        ("batch", batch),
        ("lines", lines),
        ("labels", labels),
        ("created_at", _iso(began + timedelta(milliseconds=3))),
        ("due", _iso(began + timedelta(days=7))),
        ("total", "12.50"),
    ]
    rng.shuffle(members)
    calls = [
        Effect(kind="http", key=f"PUT http://shop/orders/{order}", payload={"body": {"batch": batch}}, performed=role is Role.AUTHORITY),
        Effect(kind="sql", key=f"orders id={order}", payload={"columns": {"updated_at": _iso(began), "state": "paid"}}),
        Effect(kind="message", key="order.paid", payload={"order": order, "at": _iso(began)}),
    ]
    rng.shuffle(calls)
    mail = Effect(kind="email", key="to:ann@example.org", payload={"subject": f"Order {order}", "text": "Thank you."})
    run = an_outcome(role, dict(members), effects=[*calls, mail], started_at=began)
    return msgspec.structs.replace(run, spans=_concurrent_spans(rng, order, role), retry_delays_s=(rng.uniform(9.9, 10.1),), attempts=2)


def _concurrent_spans(rng: random.Random, order: str, role: Role) -> tuple[SpanRecord, ...]:
    # The legacy side's library tells its call once more, and its worker brought the message by a span of its own.
    calls = [f"http:PUT:shop/orders/{order}", "publish order.paid"]
    rng.shuffle(calls)
    found = [span("execute:shop.task", 1, 99)]
    for n, name in enumerate(calls, 2):
        found.append(span(name, n, 1, offset_ms=rng.uniform(1.0, 1.9)))
        if role is Role.AUTHORITY and name.startswith("http"):
            found.append(span("PUT", 20 + n, n, offset_ms=2.0, http__request__method="PUT", url__full=f"http://shop/orders/{order}"))
    if role is Role.AUTHORITY:
        found.append(span("order.paid receive", 30, 1, offset_ms=0.1, messaging__system="rabbitmq", messaging__operation="receive"))
    return tuple(found)


def _iso(moment: datetime) -> str:
    return moment.isoformat()


def test_faithful_ports_raise_no_false_alarm_in_3000_pairs() -> None:
    rng = random.Random(20261121)
    alarms = []
    for _ in range(3_000):
        verdict, differences = compare_outcomes(faithful(rng, Role.AUTHORITY), faithful(rng, Role.SHADOW), PORT_RULES)
        if not verdict.is_same:
            alarms.append((verdict, differences))
    assert alarms == []


def test_an_error_and_a_state_that_mean_the_same_are_hidden_by_their_rules() -> None:
    rejected = outcome(state=State.REJECTED, failure=Failure(kind="HTTPError"))(base(Role.AUTHORITY))
    failing = failed("HTTPStatusError")(base(Role.SHADOW))
    assert (rejected.side, failing.side) == (Side.LEGACY, Side.EVENTS)
    verdict, differences = compare_outcomes(rejected, failing, RULES)
    assert (verdict, [one.ignored_by for one in differences]) == (Verdict.IGNORED, ["reject", "httpx"])


def test_a_shadow_that_was_answered_in_place_of_a_busy_outside_may_need_fewer_attempts() -> None:
    first = outcome(attempts=1, retry_delays_s=())(base(Role.SHADOW))
    assert compare_outcomes(base(Role.AUTHORITY), first, RULES)[0] is Verdict.DIFFERENT_SCHEDULE
    held_back = effects(lambda all_: [msgspec.structs.replace(one, performed=False) for one in all_])
    for spared in (outcome(calls_unanswered=1)(first), outcome(calls_unknown=1)(first), held_back(first)):
        assert compare_outcomes(base(Role.AUTHORITY), spared, RULES) == (Verdict.EQUAL, ())


@given(share=st.tuples(*[st.floats(0.0, 1.0)] * 4))
def test_delays_that_jitter_drew_from_one_backoff_are_the_same_however_far_apart(share: tuple[float, ...]) -> None:
    whole = (4.0, 8.0)

    def drawn(role: Role, *shares: float, whole: tuple[float, ...] = whole) -> Outcome:
        delays = tuple(part * of for part, of in zip(shares, whole, strict=True))
        return outcome(attempts=3, retry_delays_s=delays, retry_within_s=whole)(an_outcome(role, 1))

    ours = drawn(Role.AUTHORITY, *share[:2])
    assert compare_outcomes(ours, drawn(Role.SHADOW, *share[2:]), RULES) == (Verdict.EQUAL, ())
    plain = outcome(attempts=3, retry_delays_s=whole)(an_outcome(Role.SHADOW, 1))
    assert compare_outcomes(ours, plain, RULES) == (Verdict.EQUAL, ())
    constant = drawn(Role.SHADOW, *share[2:], whole=(4.0, 4.0))
    assert [one.kind.value for one in compare_outcomes(ours, constant, RULES)[1]] == ["retry_delay"]
    none = outcome(attempts=3, retry_delays_s=(0.0, 0.0))(an_outcome(Role.SHADOW, 1))
    assert [one.kind.value for one in compare_outcomes(ours, none, RULES)[1]] == ["retry_delay"] * 2


@pytest.mark.parametrize("attempts", [1, 9])
@pytest.mark.parametrize("kind", ["sql", "http", "cache", "message"])
def test_a_write_that_is_held_back_and_answered_as_the_authoritys_excuses_no_other_number_of_attempts(kind: str, attempts: int) -> None:
    write = Effect(kind=kind, key="UPDATE orders id=1")
    authority = an_outcome(Role.AUTHORITY, 1, effects=[write])
    shadow = an_outcome(Role.SHADOW, 1, effects=[msgspec.structs.replace(write, performed=False)])
    verdict, differences = compare_outcomes(outcome(attempts=3)(authority), outcome(attempts=attempts)(shadow), RULES)
    assert (verdict, [one.path for one in differences]) == (Verdict.DIFFERENT_SCHEDULE, ["/schedule/attempts"])


def test_nothing_that_was_not_refused_excuses_more_attempts() -> None:
    mail = Effect(kind="email", key="to:a@b.c")
    authority = outcome(attempts=2)(an_outcome(Role.AUTHORITY, 1, effects=[mail]))
    shadow = an_outcome(Role.SHADOW, 1, effects=[msgspec.structs.replace(mail, performed=False)])
    assert compare_outcomes(authority, outcome(attempts=9, calls_unanswered=1)(shadow), RULES)[0] is Verdict.DIFFERENT_SCHEDULE

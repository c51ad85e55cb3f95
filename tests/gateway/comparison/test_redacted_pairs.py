"""A redacted pair gets the verdict its originals would have got, and no secret is in it."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dualrun.contracts import (
    Decision,
    Effect,
    JsonObject,
    JsonValue,
    Mode,
    Outcome,
    Reason,
    Role,
    Side,
    Submission,
    SubmissionRecord,
)
from gateway.comparison import IgnoreRule, Redactor, RuleBook, TaskRules, compare_outcomes
from gateway.core.comparison import Verdict
from gateway.judge import Judge
from tests.support.comparing import START, an_outcome, found

RULES = TaskRules(ignore=(IgnoreRule(id="audit", path="/effects/audit", owner="ann", reason="only one side writes it"),))
JUDGE = Judge(RuleBook(version="1", default=RULES), Redactor("the installation's key"))
LEFT, RIGHT = (
    [str(uuid.UUID(int=random.Random(seed).getrandbits(128), version=4)) for seed in range(first, first + 3)] for first in (10, 20)
)
WORDS = ["correct-horse.battery", "eyJhbGciOiJI.eyJzdWIi", "hunter2hunter2"]
MOMENT = "2026-11-21T09:30:01+00:00"
NOW = ("1795253400", "1795253402", "Sat, 21 Nov 2026 09:30:01 GMT", "Sat, 21 Nov 2026 09:30:04 GMT")


@dataclass(frozen=True)
class Secret:
    """One secret: what each side has for it."""

    ours: str
    theirs: str


# What a side makes up, as services write it; what both were given; what both read.
_made = [Secret(left, right) for left, right in zip(LEFT, RIGHT, strict=True)]
_spelled = [
    *_made,
    *(Secret(f"tok_{one.ours}", f"tok_{one.theirs}") for one in _made),
    *(Secret(one.ours.replace("-", ""), one.theirs.replace("-", "")) for one in _made),
    *(Secret(f"{one.ours}:{MOMENT}", f"{one.theirs}:{MOMENT}") for one in _made[:1]),
    Secret("01ARZ3NDEKTSV4RRFFQ69G5FAV", "01BX5ZZKBKACTAV9WEVGEMMVRZ"),
    Secret("key-01ARZ3NDEKTSV4RRFFQ69G5FAV", "key-01BX5ZZKBKACTAV9WEVGEMMVRZ"),
    Secret(*NOW[:2]),
    Secret(*NOW[2:]),
]
_shared = [Secret(one, one) for one in (*WORDS, LEFT[2], f"tok_{LEFT[2]}", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "1234567890")]
_faithful = st.sampled_from(_spelled + _shared)
_unlike = st.builds(lambda one, other: Secret(one.ours, other.theirs), _faithful, _faithful)
_secrets = st.one_of(_faithful, _faithful, _faithful, _unlike)


def _named(secret: str) -> Effect:
    return Effect(kind="sql", key="INSERT resets", payload={"set": {"token": secret, "at": 1}})


def _in_a_query(secret: str) -> Effect:
    return Effect(kind="http", key=f"POST https://shop/reset?token={secret}", payload=None)


def _in_an_sql_key(secret: str) -> Effect:
    return Effect(kind="sql", key=f"DELETE reset_tokens token={secret}")


def _in_json(secret: str) -> Effect:
    return Effect(kind="cache", key="SET s", payload={"value": f'{{"token": "{secret}", "n": 1}}'})


def _in_a_form(secret: str) -> Effect:
    return Effect(kind="http", key="POST https://shop/login", payload={"body": f"password={secret}&user=ann"})


def _in_an_object(secret: str) -> Effect:
    credentials: JsonValue = {"id": secret, "of": ["ann", secret], "expires": MOMENT}
    return Effect(kind="sql", key="INSERT sessions", payload={"set": {"credentials": credentials}})


def _number(secret: str) -> Effect:
    return Effect(kind="message", key="numbers", payload={"secret": int(secret) if secret.isdigit() else secret, "n": 1})


def _typed(secret: str) -> Effect:
    payload: JsonValue = secret
    digits = secret.replace("-", "")
    if len(digits) == 32 and digits.isalnum():
        payload = {"__type__": "uuid", "__value__": {"hex": digits, "version": 4}}
    return Effect(kind="message", key="orders", payload={"token": payload})


def _in_a_link(secret: str) -> Effect:
    return Effect(kind="email", key="to:a@x.org", payload={"text": f"Go to https://shop/reset/{secret} now."})


def _bare(secret: str) -> Effect:
    return Effect(kind="message", key="mails", payload=[secret, "x"])


def _as_a_key(secret: str) -> Effect:
    return Effect(kind="message", key="maps", payload={secret: {"n": 1}})


def _audit(secret: str) -> Effect:
    return Effect(kind="audit", key="login", payload={"secret": secret})


HIDING = (_named, _in_a_query, _in_an_sql_key, _in_json, _in_a_form, _in_an_object, _number, _typed)
SHOWING = (_in_a_link, _bare, _as_a_key)
_placed = st.lists(st.tuples(st.sampled_from((*HIDING, *SHOWING)), _secrets), min_size=1, max_size=5)
_values = st.none() | st.tuples(st.sampled_from(["token", "link", "bare"]), _secrets)


def _value(kind: str, secret: str) -> JsonValue:
    values: dict[str, JsonValue] = {"token": {"token": secret}, "link": {"link": f"https://shop/reset/{secret}"}, "bare": secret}
    return values[kind]


_Places = Sequence[tuple[Callable[[str], Effect], Secret]]


def _pair(places: _Places, value: tuple[str, Secret] | None, audits: Sequence[Secret]) -> tuple[Outcome, Outcome]:
    effects: tuple[list[Effect], list[Effect]] = ([], [])
    for place, secret in places:
        effects[0].append(place(secret.ours))
        effects[1].append(place(secret.theirs))
    effects[0].extend(_audit(one.ours) for one in audits[:1])
    effects[1].extend(_audit(one.theirs) for one in audits[1:])
    values = (None, None) if value is None else (_value(value[0], value[1].ours), _value(value[0], value[1].theirs))
    ours, theirs = (an_outcome(role, one, effects=made) for role, one, made in zip(Role, values, effects, strict=True))
    return ours, theirs


def _submission(args: Sequence[str], kwargs: JsonObject) -> SubmissionRecord:
    submission = Submission(id="0", task="shop.task", args=tuple(args), kwargs=kwargs, cohort_key="0", submitted_at=START)
    decision = Decision(mode=Mode.SHADOW, authority=Side.LEGACY, shadow=Side.EVENTS, reason=Reason.BY_MODE, bucket=None, flag_version=1)
    return SubmissionRecord(submission=submission, decision=decision)


def _stored(record: SubmissionRecord, pair: tuple[Outcome, Outcome]) -> tuple[Submission, Outcome, Outcome]:
    kept, ours, theirs = (JUDGE.redact(one) for one in (record, *pair))
    assert isinstance(kept, SubmissionRecord)
    assert isinstance(ours, Outcome)
    assert isinstance(theirs, Outcome)
    return kept.submission, ours, theirs


def _judged(record: SubmissionRecord, pair: tuple[Outcome, Outcome]) -> tuple[Verdict, list[tuple[str, str]]]:
    result = JUDGE.compare(*_stored(record, pair))
    return result.verdict, found((result.verdict, result.differences))


def _judged_raw(record: SubmissionRecord, pair: tuple[Outcome, Outcome]) -> tuple[Verdict, list[tuple[str, str]]]:
    given: JsonValue = {"args": list(record.submission.args), "kwargs": record.submission.kwargs}
    result = compare_outcomes(*pair, RULES, given=given)
    return result[0], found(result)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_placed, _values, st.lists(_secrets, max_size=2), st.none() | _secrets, st.booleans())
@example([(_bare, Secret(*NOW[2:]))], None, [Secret(*NOW[2:])], None, False)
def test_a_redacted_pair_gets_the_verdict_of_its_originals(
    places: _Places, value: tuple[str, Secret] | None, audits: Sequence[Secret], called: Secret | None, by_name: bool
) -> None:
    pair = _pair(places, value, audits)
    secrets = [called.ours] if called is not None else []
    record = _submission([] if by_name else secrets, {"token": secrets[0]} if by_name and secrets else {})
    assert _judged(record, pair)[0] is _judged_raw(record, pair)[0]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_placed, _values, st.lists(_secrets, max_size=2))
def test_no_secret_is_in_a_stored_record_wherever_else_it_stands(
    places: _Places, value: tuple[str, Secret] | None, audits: Sequence[Secret]
) -> None:
    _, ours, theirs = _stored(_submission([], {}), _pair(places, value, audits))
    texts = [msgspec.json.encode(one).decode().lower() for one in (msgspec.structs.replace(ours, value=None), theirs)]
    hidden = [secret for place, secret in places if place in HIDING] + ([value[1]] if value is not None and value[0] == "token" else [])
    for secret in hidden:
        for text, one in zip(texts, (secret.ours, secret.theirs), strict=True):
            # That it is now is no secret.
            assert one.lower() not in text or one in NOW


def test_a_mailed_token_that_is_not_the_stored_one_is_still_found() -> None:
    record = _submission([], {})
    faithful = _pair([(_named, _made[0]), (_in_a_link, _made[0])], None, ())
    faulty = _pair([(_named, _made[0]), (_in_a_link, Secret(LEFT[0], RIGHT[1]))], None, ())
    assert _judged(record, faithful) == (Verdict.EQUAL_AFTER_NORMALISE, [])
    assert _judged(record, faulty) == (Verdict.DIFFERENT_EFFECT, [("effect_changed", "/effects/email/to:*/text")])


@pytest.mark.parametrize("named", [False, True])
def test_another_token_than_the_one_that_was_given_is_still_found(named: bool) -> None:
    record = _submission([], {"token": LEFT[0]}) if named else _submission([LEFT[0]], {})
    assert _judged(record, _pair([(_in_an_sql_key, Secret(LEFT[0], LEFT[0]))], None, ()))[0] is Verdict.EQUAL
    assert _judged(record, _pair([(_in_an_sql_key, Secret(LEFT[0], RIGHT[0]))], None, ()))[0] is Verdict.DIFFERENT_EFFECT


@pytest.mark.parametrize("secret", [_made[0], Secret(WORDS[0], WORDS[0])])
def test_a_secret_that_only_one_side_logs_makes_no_difference(secret: Secret) -> None:
    pair = _pair([(_in_a_link, secret), (_bare, secret)], ("link", secret), [secret])
    assert _judged(_submission([], {}), pair) == (Verdict.IGNORED, [("effect_missing", "/effects/audit/login")])

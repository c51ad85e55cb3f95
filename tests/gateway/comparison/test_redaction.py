"""What is kept of secrets: nothing but whether they are equal."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dualrun.contracts import (
    Decision,
    Effect,
    Failure,
    JsonValue,
    Mode,
    Outcome,
    Reason,
    Role,
    Side,
    SpanRecord,
    Submission,
    SubmissionRecord,
)
from gateway.comparison import RedactionRules, Redactor, TaskRules, compare_outcomes
from gateway.comparison.paths import effect_path
from gateway.core.comparison import Aspect, Difference, DifferenceKind, Verdict
from tests.support.comparing import an_outcome, found

REDACTOR = Redactor("the installation's key")
PLAIN = TaskRules()
STRICT = TaskRules(
    redaction=RedactionRules(paths=("/value/customer/iban", "/effects/**/iban"), names=("ssn",), patterns=("email", "card", "token"))
)
SECRET = "correct horse battery staple"


def _stored(role: Role, *effects: Effect) -> Outcome:
    return REDACTOR.outcome(an_outcome(role, effects=effects), PLAIN)


def _login(secret: JsonValue) -> Effect:
    return Effect(kind="http", key="POST http://auth/login?api_key=abc123", payload={"body": {"user": "ann", "Access-Token": secret}})


def test_members_with_the_name_of_a_secret_are_not_kept_by_default() -> None:
    stored = REDACTOR.outcome(an_outcome(Role.AUTHORITY, effects=[_login(SECRET)]), PLAIN)
    text = msgspec.json.encode(stored).decode()
    assert SECRET not in text
    assert "abc123" not in text
    assert '"user":"ann"' in text


@pytest.mark.parametrize(
    "name", ["password", "Authorization", "X-API-Key", "set_cookie", "http.request.header.authorization", "clientSecret"]
)
def test_names_are_known_in_every_spelling(name: str) -> None:
    span = SpanRecord(name="call", span_id="1", attributes={name: SECRET})
    kept = REDACTOR.outcome(msgspec.structs.replace(an_outcome(Role.SHADOW), spans=(span,)), PLAIN).spans[0]
    assert str(kept.attributes[name]).startswith("<secret:")


def test_the_value_stays_what_its_caller_reads_back_unless_a_rule_names_it() -> None:
    value: JsonValue = {"token": SECRET, "customer": {"iban": "NO9386011117947"}}
    outcome = an_outcome(Role.AUTHORITY, value)
    assert REDACTOR.outcome(outcome, PLAIN).value == value
    kept = REDACTOR.outcome(outcome, STRICT).value
    assert isinstance(kept, dict)
    assert kept["token"] == SECRET
    assert kept["customer"] != {"iban": "NO9386011117947"}


def test_a_shadows_value_is_kept_without_secrets_for_nobody_reads_it_back() -> None:
    kept = REDACTOR.outcome(an_outcome(Role.SHADOW, {"token": SECRET, "name": "ann"}), PLAIN).value
    assert isinstance(kept, dict)
    assert (str(kept["token"]).startswith("<secret:"), kept["name"]) == (True, "ann")


def test_a_rule_file_can_have_the_authoritys_value_kept_without_secrets_too() -> None:
    rules = TaskRules(redaction=RedactionRules(values=True))
    assert SECRET not in str(REDACTOR.outcome(an_outcome(Role.AUTHORITY, {"token": SECRET}), rules).value)


@pytest.mark.parametrize(("theirs", "verdict"), [(SECRET, Verdict.EQUAL), ("hunter2", Verdict.DIFFERENT_VALUE)])
def test_values_that_were_kept_differently_are_compared_alike(theirs: str, verdict: Verdict) -> None:
    stored = [REDACTOR.outcome(an_outcome(role, {"token": of_role}), PLAIN) for role, of_role in zip(Role, (SECRET, theirs), strict=True)]
    ours, other, _ = REDACTOR.comparable(stored[0], stored[1], PLAIN)
    assert compare_outcomes(ours, other)[0] is verdict


def test_people_are_shown_a_value_without_secrets() -> None:
    assert SECRET not in str(REDACTOR.shown(an_outcome(Role.AUTHORITY, {"account": {"api_key": SECRET}})).value)


def test_a_difference_shows_no_secret_even_where_the_value_keeps_it() -> None:
    result = compare_outcomes(an_outcome(Role.AUTHORITY, {"password": SECRET}), an_outcome(Role.SHADOW, {"password": "hunter2"}))
    shown = REDACTOR.difference(result[1][0], PLAIN)
    assert str(shown.authority).startswith("<secret:")
    assert str(shown.shadow).startswith("<secret:")
    assert shown.authority != shown.shadow


def test_a_sample_that_was_cut_to_text_shows_no_secret() -> None:
    long = '{"note": "' + "x" * 50 + '", "password": "' + SECRET + '", "rest"... (9000 characters)'
    difference = Difference(aspect=Aspect.VALUE, kind=DifferenceKind.MISSING, path="/value/account", authority=long)
    assert SECRET not in str(REDACTOR.difference(difference, PLAIN).authority)


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("write to ann@example.org", "ann@example.org"),
        ("paid by 4111 1111 1111 1111 today", "4111 1111 1111 1111"),
        ("it came with Bearer abcdefgh12345", "abcdefgh12345"),
        ("sk_live_abcdefgh1234", "sk_live_abcdefgh1234"),
        ("eyJhbGciOiJI.eyJzdWIiOiIx.c2ln", "eyJzdWIiOiIx"),
    ],
)
def test_patterns_are_found_wherever_they_stand_where_a_rule_asks_for_them(text: str, secret: str) -> None:
    effect = Effect(kind="audit", key=text, payload={"deep": [text]})
    failure = Failure(kind="X", message=text)
    outcome = msgspec.structs.replace(an_outcome(Role.SHADOW, {"note": text}, effects=[effect]), failure=failure)
    assert secret not in msgspec.json.encode(REDACTOR.outcome(outcome, STRICT)).decode()
    assert secret in msgspec.json.encode(REDACTOR.outcome(outcome, PLAIN)).decode()


HOSTILE = [
    *("a", "eyJ", "eyJxxxxxxxxx.", '"a', '"a": "', "1 ", "sk_live_", "Bearer ", "?a=", "a@", "a@a.", '"a":"\\'),
    *("token=", "token", "password='", "token: '\\", '\\"token\\":\\"', "://a:", "://:b@", "token=a ", "token (", "5ec2e700-"),
]


@pytest.mark.parametrize("text", HOSTILE)
def test_reading_a_hostile_text_takes_no_longer_than_its_length(text: str) -> None:
    record = an_outcome(Role.SHADOW, text * (100_000 // len(text)))
    began = time.process_time()
    REDACTOR.outcome(record, STRICT)
    assert time.process_time() - began < 5.0


def test_a_record_full_of_secrets_takes_no_longer_than_its_length() -> None:
    tokens = [
        Effect(kind="a", key=f"token=secret{n:08}", payload={"token": f"another{n:08}", "text": f"the {n:08} " * 10}) for n in range(2000)
    ]
    began = time.process_time()
    pair = _stored(Role.AUTHORITY, *tokens), _stored(Role.SHADOW, *tokens[1:])
    REDACTOR.comparable(*pair, PLAIN)
    assert time.process_time() - began < 5.0


def test_a_long_number_that_proves_no_card_stays() -> None:
    outcome = an_outcome(Role.SHADOW, {"order": "4111 1111 1111 1112"})
    assert REDACTOR.outcome(outcome, STRICT).value == {"order": "4111 1111 1111 1112"}


def test_arguments_are_redacted_by_name() -> None:
    record = SubmissionRecord(
        submission=Submission(
            id="0", task="shop.task", args=("a", {"pwd": SECRET}), kwargs={"ssn": "01017012345", "n": 1}, cohort_key="0",
            submitted_at=datetime(2026, 11, 21, tzinfo=UTC),
        ),
        decision=Decision(mode=Mode.SHADOW, authority=Side.LEGACY, shadow=Side.EVENTS, reason=Reason.BY_MODE, bucket=None, flag_version=1),
    )  # fmt: skip
    kept = REDACTOR.submission(record, STRICT).submission
    assert kept.kwargs["n"] == 1
    assert "01017012345" not in str(kept.kwargs)
    assert SECRET not in str(kept.args)


_secrets = st.text(min_size=1) | st.integers() | st.uuids(version=4).map(str) | st.lists(st.integers(), min_size=1)


@settings(deadline=None, max_examples=80)
@given(_secrets, _secrets)
def test_secrets_are_equal_after_redaction_exactly_where_they_were_before(one: JsonValue, other: JsonValue) -> None:
    stored = _stored(Role.AUTHORITY, _login(one)), _stored(Role.SHADOW, _login(other))
    raw = an_outcome(Role.AUTHORITY, effects=[_login(one)]), an_outcome(Role.SHADOW, effects=[_login(other)])
    assert compare_outcomes(*stored)[0] is compare_outcomes(*raw)[0]


@settings(deadline=None, max_examples=80)
@given(_secrets)
def test_redacting_twice_changes_nothing(secret: JsonValue) -> None:
    rules = replace(STRICT, redaction=replace(STRICT.redaction, patterns=()))
    once = REDACTOR.outcome(an_outcome(Role.SHADOW, effects=[_login(secret)]), rules)
    text = msgspec.json.encode(once.effects)
    # An id that was made up in the place of another one is one more id.
    if b"<secret:" in text:
        assert REDACTOR.outcome(once, rules).effects[0].key == once.effects[0].key


def test_a_generated_secret_is_still_recognised_as_generated() -> None:
    ours, theirs = ("0b9d2f8e-3c4e-4b8a-9a67-3f1f6d1f0a11", "5a1c8f60-9d1b-4b55-8f0c-2c9d4f1b7e22")
    pair = _stored(Role.AUTHORITY, _login(ours)), _stored(Role.SHADOW, _login(theirs))
    assert ours not in msgspec.json.encode(pair[0]).decode()
    assert compare_outcomes(*pair) == (Verdict.EQUAL_AFTER_NORMALISE, ())


def test_redacted_keys_of_effects_have_the_path_they_had() -> None:
    mail = Effect(kind="email", key="to:ann@example.org", payload={"subject": "a"})
    kept = REDACTOR.outcome(an_outcome(Role.SHADOW, effects=[mail]), STRICT).effects[0]
    assert kept.key != mail.key
    assert effect_path(kept.kind, kept.key) == effect_path(mail.kind, mail.key)
    changed = msgspec.structs.replace(kept, payload={"subject": "b"})
    result = compare_outcomes(an_outcome(Role.AUTHORITY, effects=[kept]), an_outcome(Role.SHADOW, effects=[changed]))
    assert found(result) == [("effect_changed", "/effects/email/to:*/subject")]

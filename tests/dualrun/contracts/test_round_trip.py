"""Whatever is put on the wire comes back the same."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import cast

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dualrun.contracts import (
    Announcement,
    Decision,
    Effect,
    Failure,
    JsonValue,
    Mode,
    Options,
    Outcome,
    Parameter,
    Reason,
    Record,
    Role,
    ServedTask,
    Side,
    SpanRecord,
    State,
    Submission,
    SubmissionRecord,
    UnreadableRecords,
    Work,
    decode_records,
    encode_records,
)

_SETTINGS = settings(max_examples=60, deadline=None)
_texts = st.text(max_size=20)
_numbers = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
_json: st.SearchStrategy[JsonValue] = cast(
    "st.SearchStrategy[JsonValue]",
    st.recursive(
        st.none() | st.booleans() | _numbers | _texts,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_texts, inner, max_size=4),
        max_leaves=8,
    ),
)
_objects = st.dictionaries(_texts, _json, max_size=3)
_moments = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - Hypothesis adds the zone
_ms = st.floats(0, 1e9)
_options = st.builds(Options, eta=st.none() | _moments, expires=st.none() | _moments, priority=st.none() | st.integers(0, 9))
_submissions = st.builds(
    Submission,
    args=st.lists(_json, max_size=3).map(tuple),
    kwargs=_objects,
    options=_options,
    submitted_at=_moments,
    traceparent=st.none() | _texts,
)
_decisions = st.builds(
    Decision,
    mode=st.sampled_from(Mode),
    authority=st.sampled_from(Side),
    shadow=st.none() | st.sampled_from(Side),
    reason=st.sampled_from(Reason),
)
_failures = st.builds(Failure, traceback=st.none() | _texts)
_effects = st.builds(Effect, payload=_json, performed=st.booleans(), error=st.none() | _texts)
_spans = st.builds(SpanRecord, offset_ms=_ms, duration_ms=_ms, attributes=_objects, parent_id=st.none() | _texts)
_outcomes = st.builds(
    Outcome,
    side=st.sampled_from(Side),
    role=st.sampled_from(Role),
    state=st.sampled_from(State),
    value=_json,
    failure=st.none() | _failures,
    effects=st.lists(_effects, max_size=3).map(tuple),
    effects_dropped=st.integers(0, 10),
    spans=st.lists(_spans, max_size=2).map(tuple),
    attempts=st.integers(1, 9),
    queued_ms=st.none() | _ms,
    elapsed_ms=_ms,
    started_at=_moments,
    ended_at=_moments,
)
_records = st.builds(SubmissionRecord, submission=_submissions, decision=_decisions) | _outcomes
_works = st.builds(Work, submission=_submissions, decision=_decisions, side=st.sampled_from(Side), role=st.sampled_from(Role))
_parameters = st.builds(Parameter, required=st.booleans(), keyword_only=st.booleans())
_served = st.builds(
    ServedTask,
    parameters=st.none() | st.lists(_parameters, max_size=3).map(tuple),
    schema=st.none() | _objects,
    exchange=_texts,
    routing_key=_texts,
)
_announcements = st.builds(Announcement, side=st.sampled_from(Side), tasks=st.lists(_served, max_size=3).map(tuple), ttl_s=_ms)


@_SETTINGS
@given(st.lists(_records, max_size=4))
def test_records_come_back_the_same(records: list[Record]) -> None:
    assert decode_records(encode_records(records)) == tuple(records)


@_SETTINGS
@given(_announcements | _works)
def test_a_contract_comes_back_the_same(contract: Announcement | Work) -> None:
    again: Announcement | Work = msgspec.json.decode(msgspec.json.encode(contract), type=type(contract))
    assert again == contract


@_SETTINGS
@given(_records)
def test_a_record_of_a_newer_release_is_read_without_what_is_new(record: Record) -> None:
    whole = msgspec.to_builtins(record)
    assert decode_records(msgspec.json.encode([{**whole, "added_later": 1}])) == (record,)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"null",
        b"[1]",
        b"[{}]",
        b'[{"record": "other"}]',
        b'[{"record": "outcome"}]',
        b"[" * 100_000,
        b"\xff",
        b'[{"record": "submission", "submission": 1}]',
    ],
)
def test_what_is_no_record_is_refused_by_name(body: bytes) -> None:
    with pytest.raises(UnreadableRecords):
        decode_records(body)


@given(st.binary(max_size=200))
def test_any_bytes_are_records_or_refused(body: bytes) -> None:
    try:
        records = decode_records(body)
    except UnreadableRecords:
        return
    assert records == (), "random bytes hold no tagged record"

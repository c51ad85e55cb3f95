from __future__ import annotations

import json
import time
from collections.abc import Mapping

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualrun.contracts import JsonValue
from gateway.api.body import decode
from gateway.api.problem import BadRequest
from gateway.core.request import TaskRequest

DECODER = msgspec.json.Decoder(TaskRequest)
MAX_DEPTH = 64
HOSTILE = [
    (b"", 400),
    (b"{", 400),
    (b"null", 422),
    (b"[]", 422),
    (b'{"task": "a.b", "args": [NaN]}', 400),
    (b'{"task": "a.b", "args": [Infinity]}', 400),
    (b'{"task": "a.b", "args": [1e999]}', 422),
    (b'{"task": "a.b", "args": ["\\ud800"]}', 400),
    (b'{"task": "a.b", "args": [' + b"9" * 5_000 + b"]}", 422),
    (b'{"task": "a.b", "args": ' + b"[" * 100_000, 422),
    (b'{"task": "a.b", "args": ' + b"[" * 500 + b"]" * 500 + b"}", 422),
    (b'{"task": "a\\u0000b"}', 422),
    (b'{"task": "' + b"x" * 201 + b'"}', 422),
    (b'{"task": 7}', 422),
    (b'{"task": "a.b", "countdown": -1}', 422),
    (b'{"task": "a.b", "countdown": 1e308}', 422),
    (b'{"task": "a.b", "eta": "2026-01-01T00:00:00"}', 422),
    (b'{"task": "a.b", "priority": 10}', 422),
    (b'{"task": "a.b", "priority": true}', 422),
    (b'{"task": "a.b", "surprise": 1}', 422),
    (b"\xff\xfe", 400),
]


@pytest.mark.parametrize(("body", "status"), HOSTILE)
def test_hostile_bodies_get_a_clear_status(body: bytes, status: int) -> None:
    with pytest.raises(BadRequest) as caught:
        decode(body, DECODER, MAX_DEPTH)
    assert caught.value.status == status


def test_a_string_without_an_end_is_looked_through_once() -> None:
    body = b'{"task": "a.b", "args": [' + b"[]," * MAX_DEPTH + b'"' + b'\\"' * 500_000
    before_s = time.process_time()
    with pytest.raises(BadRequest) as caught:
        decode(body, DECODER, MAX_DEPTH)
    assert caught.value.status == 400
    # Once for each of its quotes would be an hour.
    assert time.process_time() - before_s < 10


@given(st.recursive(st.text('"\\\n[]{}é'), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('"[{'), inner, max_size=3)))
def test_brackets_are_counted_outside_strings_only(value: JsonValue) -> None:
    levels = _levels(value)
    body = json.dumps([[]] * MAX_DEPTH + [value]).encode()
    decoder = msgspec.json.Decoder()
    assert decode(body, decoder, max(levels + 1, 2)) is not None
    if levels > 1:
        with pytest.raises(BadRequest):
            decode(body, decoder, levels)


def _levels(value: JsonValue) -> int:
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(_levels, inner), default=0)


def test_the_wrong_member_is_named() -> None:
    with pytest.raises(BadRequest) as caught:
        decode(b'{"task": "a.b", "priority": 10}', DECODER, MAX_DEPTH)
    assert caught.value.errors[0].pointer == "/priority"
    assert "<= 9" in caught.value.errors[0].detail


@given(st.binary(max_size=200))
def test_any_bytes_are_decoded_or_refused(body: bytes) -> None:
    try:
        decoded = decode(body, DECODER, MAX_DEPTH)
    except BadRequest as exc:
        assert 400 <= exc.status < 500  # noqa: PT017 - the other outcome is a decoded request
    else:
        assert isinstance(decoded, TaskRequest)


@given(st.integers(min_value=1, max_value=120), st.sampled_from(["[", "{"]))
def test_nesting_is_refused_exactly_beyond_the_bound(depth: int, opening: str) -> None:
    inner = 1
    value: object = inner
    for _ in range(depth):
        value = [value] if opening == "[" else {"k": value}
    body = json.dumps({"task": "a.b", "args": [value], "kwargs": {"text": "[{" * 100}}).encode()
    if depth + 2 <= MAX_DEPTH:
        assert decode(body, DECODER, MAX_DEPTH).task == "a.b"
    else:
        with pytest.raises(BadRequest, match="levels deep"):
            decode(body, DECODER, MAX_DEPTH)

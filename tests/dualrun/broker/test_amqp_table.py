from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pamqp import decode, encode
from pamqp.common import FieldTable

from dualrun.broker import HeaderValue, Message
from dualrun.broker.amqp_frame import encode_content, parse_message
from dualrun.broker.amqp_table import decode_table, encode_table

INT64 = st.integers(-(2**63), 2**63 - 1)
SCALARS = st.none() | st.booleans() | INT64 | st.floats(allow_nan=False) | st.text()
KEYS = st.text(max_size=40)
VALUES: st.SearchStrategy[HeaderValue] = st.recursive(
    SCALARS | st.binary(), lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)
TABLES = st.dictionaries(KEYS, VALUES, max_size=6)
SHORT = st.none() | st.text(max_size=60)


@given(TABLES)
@settings(max_examples=150)
def test_a_table_comes_back_as_it_went(table: dict[str, HeaderValue]) -> None:
    encoded = encode_table(table)
    assert decode_table(b"before" + encoded + b"after", 6) == (table, 6 + len(encoded))


@given(st.dictionaries(KEYS, SCALARS | st.lists(SCALARS, max_size=3), max_size=6))
@settings(max_examples=100)
def test_pamqp_reads_what_we_write(table: dict[str, HeaderValue]) -> None:
    assert decode.field_table(encode_table(table))[1] == table


def test_we_read_every_type_pamqp_writes() -> None:
    at = dt.datetime(2026, 11, 21, 3, 0, tzinfo=dt.UTC)
    table: FieldTable = {
        "b": 1,
        "s": 300,
        "u": 40_000,
        "I": 70_000,
        "i": 3_000_000_000,
        "l": 2**40,
        "f": 0.5,
        "T": at,
        "x": bytearray(b"\x00"),
    }
    assert decode_table(encode.field_table(table))[0] == {**table, "T": "2026-11-21T03:00:00+00:00", "x": b"\x00"}


@given(st.binary(max_size=60))
@settings(max_examples=300)
def test_octets_that_are_no_table_are_a_value_error_and_nothing_else(data: bytes) -> None:
    try:
        table, end = decode_table(data)
    except ValueError:
        return
    assert isinstance(table, dict)
    assert 4 <= end <= len(data)


def test_text_that_is_not_utf8_comes_as_octets() -> None:
    assert decode_table(b"\x00\x00\x00\x09\x01aS\x00\x00\x00\x02\xff\xfe")[0] == {"a": b"\xff\xfe"}


@pytest.mark.parametrize("table", [{"a": object()}, {"a": [{1, 2}]}])
def test_other_types_are_refused(table: dict[str, HeaderValue]) -> None:
    with pytest.raises(TypeError, match="header"):
        encode_table(table)


@given(
    st.builds(
        Message,
        body=st.binary(max_size=50),
        headers=TABLES,
        content_type=st.text(max_size=20),
        message_id=SHORT,
        correlation_id=SHORT,
        reply_to=SHORT,
        priority=st.none() | st.integers(0, 255),
        expiration_ms=st.none() | st.integers(0, 2**32 - 1),
    )
)
@settings(max_examples=150)
def test_a_message_comes_back_as_it_went(message: Message) -> None:
    assert parse_message(*encode_content(message)) == message

"""A form made of what workers announced."""

from __future__ import annotations

from typing import Any

import pytest

from dualrun.contracts import Parameter, ServedTask, Side
from gateway.console.form_fields import EVERYTHING, FieldKind, arguments_of, fields_of, filled_from

SCHEMA: dict[str, Any] = {
    "type": "object",
    "$defs": {"Size": {"enum": ["small", "large"], "type": "string"}, "Address": {"type": "object"}},
    "properties": {
        "order_id": {"type": "integer", "minimum": 1},
        "email": {"type": "string", "format": "email"},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
        "size": {"$ref": "#/$defs/Size"},
        "address": {"anyOf": [{"$ref": "#/$defs/Address"}, {"type": "null"}]},
        "rate": {"type": "number"},
        "notify": {"type": "boolean", "default": True},
        "odd": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
    },
    "required": ["order_id", "email"],
}
FIELDS = fields_of({Side.EVENTS: ServedTask(task="t", schema=SCHEMA)})


def test_each_member_of_the_schema_is_a_field_of_its_kind() -> None:
    assert {field.name: field.kind for field in FIELDS} == {
        "order_id": FieldKind.INTEGER,
        "email": FieldKind.TEXT,
        "note": FieldKind.TEXT,
        "size": FieldKind.CHOICE,
        "address": FieldKind.JSON,
        "rate": FieldKind.NUMBER,
        "notify": FieldKind.BOOLEAN,
        "odd": FieldKind.JSON,
    }
    by_name = {field.name: field for field in FIELDS}
    assert (by_name["size"].options, by_name["order_id"].hint, by_name["email"].required) == (("small", "large"), "at least 1", True)
    assert by_name["notify"].hint == "by default true"


def test_what_was_filled_in_becomes_arguments_and_back() -> None:
    filled = {"order_id": "7", "email": "ann@example.org", "size": "small", "rate": "0.5", "notify": "false", "address": '{"zip": "1"}'}
    kwargs, errors = arguments_of(FIELDS, {**filled, "note": "  ", "unknown": "x"})
    assert errors == {}
    assert kwargs == {"order_id": 7, "email": "ann@example.org", "size": "small", "rate": 0.5, "notify": False, "address": {"zip": "1"}}
    assert arguments_of(FIELDS, filled_from(FIELDS, kwargs))[0] == kwargs


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("order_id", "", "required"),
        ("order_id", "seven", "whole number"),
        ("rate", '"1"', "a number"),
        ("rate", "true", "a number"),
        ("size", "huge", "small, large"),
        ("notify", "yes", "true or false"),
        ("address", "{", "JSON"),
        ("odd", "[" * 100_000, "JSON"),
    ],
)
def test_what_cannot_be_read_says_what_would_be_right(name: str, text: str, words: str) -> None:
    _, errors = arguments_of(FIELDS, {"order_id": "7", "email": "e", name: text})
    assert list(errors) == [name]
    assert words in errors[name].detail


def test_without_a_schema_the_parameters_are_the_fields_and_without_those_there_is_one_for_everything() -> None:
    parameters = (Parameter(name="a"), Parameter(name="b", required=False))
    assert [(one.name, one.required) for one in fields_of({Side.LEGACY: ServedTask(task="t", parameters=parameters)})] == [
        ("a", True),
        ("b", False),
    ]
    everything = fields_of({Side.LEGACY: ServedTask(task="t")})
    assert [one.name for one in everything] == [EVERYTHING]
    assert arguments_of(everything, {EVERYTHING: '{"a": [1]}'}) == ({"a": [1]}, {})
    assert arguments_of(everything, {EVERYTHING: ""}) == ({}, {})
    assert "object" in arguments_of(everything, {EVERYTHING: "[1]"})[1][EVERYTHING].detail

"""A form for a task's arguments, from what its workers announced; and the arguments from what was filled in. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from dualrun.contracts import JsonObject, JsonValue, ServedTask, Side
from gateway.core.errors import FieldError

__all__ = ["EVERYTHING", "FieldKind", "FormField", "arguments_of", "fields_of", "filled_from"]

EVERYTHING = "kwargs"
"""The one field of a task whose parameters nobody announced."""
_DEEPEST = 8


class FieldKind(StrEnum):
    """How a field is filled in."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    CHOICE = "choice"
    JSON = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class FormField:
    """One argument."""

    name: str
    kind: FieldKind
    required: bool
    hint: str = ""
    options: tuple[str, ...] = ()
    """Of a choice."""


def fields_of(served: Mapping[Side, ServedTask]) -> tuple[FormField, ...]:
    """By the payload's schema where the events side announced one, else by the parameters; without either, one field for everything."""
    schema = next((task.schema for task in served.values() if task.schema is not None), None)
    parameters = next((task.parameters for task in (served.get(Side.EVENTS), served.get(Side.LEGACY)) if task and task.parameters), None)
    properties = _properties(schema)
    if properties:
        required = _names(schema, "required")
        return tuple(_field(name, _resolved(one, schema or {}), name in required) for name, one in properties.items())
    if parameters is not None:
        return tuple(FormField(name=one.name, kind=FieldKind.JSON, required=one.required, hint=_ANY) for one in parameters)
    return (FormField(name=EVERYTHING, kind=FieldKind.JSON, required=False, hint='all arguments by keyword, as JSON: {"order_id": 7}'),)


def arguments_of(fields: Sequence[FormField], form: Mapping[str, str]) -> tuple[JsonObject, dict[str, FieldError]]:
    """Arguments by keyword, and by field what cannot be read. A field left empty is left out, unless it has to be there."""
    kwargs: dict[str, JsonValue] = {}
    errors: dict[str, FieldError] = {}
    for field in fields:
        text = form.get(field.name, "")
        if not text.strip() and not (field.required and field.kind is FieldKind.TEXT and text):
            if field.required:
                errors[field.name] = FieldError(f"/kwargs/{field.name}", "is required")
            continue
        try:
            kwargs[field.name] = _value(field, text)
        except ValueError as exc:
            errors[field.name] = FieldError(f"/kwargs/{field.name}", str(exc))
    if [field.name for field in fields] == [EVERYTHING] and EVERYTHING in kwargs:
        everything = kwargs[EVERYTHING]
        if isinstance(everything, dict):
            return everything, errors
        errors[EVERYTHING] = FieldError("/kwargs", 'should be an object: {"order_id": 7}')
    return kwargs, errors


def filled_from(fields: Sequence[FormField], kwargs: JsonObject) -> dict[str, str]:
    """The form as these arguments would have been filled in."""
    if [field.name for field in fields] == [EVERYTHING]:
        return {EVERYTHING: _json(kwargs)} if kwargs else {}
    return {field.name: _text(field, kwargs[field.name]) for field in fields if field.name in kwargs}


_ANY = 'JSON: 7, "text", true, [1, 2]'


def _field(name: str, schema: Mapping[str, Any], required: bool) -> FormField:
    options = schema.get("enum")
    if isinstance(options, list) and options and all(isinstance(option, str) for option in options):
        return FormField(name=name, kind=FieldKind.CHOICE, required=required, hint=_hint(schema), options=tuple(options))
    kinds = {
        "string": FieldKind.TEXT,
        "integer": FieldKind.INTEGER,
        "number": FieldKind.NUMBER,
        "boolean": FieldKind.BOOLEAN,
    }
    kind = kinds.get(str(schema.get("type")), FieldKind.JSON)
    return FormField(name=name, kind=kind, required=required, hint=_hint(schema) or (_ANY if kind is FieldKind.JSON else ""))


def _hint(schema: Mapping[str, Any]) -> str:
    said = [str(schema["description"])] if schema.get("description") else []
    said += [str(schema["format"])] if schema.get("format") else []
    bounds = (("minimum", "at least"), ("exclusiveMinimum", "above"), ("maximum", "at most"), ("exclusiveMaximum", "below"))
    said += [f"{words} {schema[bound]}" for bound, words in bounds if bound in schema]
    said += [f"by default {_json(schema['default'])}"] if "default" in schema else []
    return ", ".join(said)


def _resolved(schema: object, root: JsonObject, depth: int = 0) -> Mapping[str, Any]:
    """The schema itself, behind a reference and beside `null`."""
    if not isinstance(schema, Mapping) or depth > _DEEPEST:
        return {}
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/$defs/"):
        definitions = root.get("$defs")
        found = definitions.get(reference.removeprefix("#/$defs/")) if isinstance(definitions, Mapping) else None
        return {**_resolved(found, root, depth + 1), **{key: value for key, value in schema.items() if key != "$ref"}}
    options = schema.get("anyOf")
    if isinstance(options, list):
        others = [option for option in options if not (isinstance(option, Mapping) and option.get("type") == "null")]
        if len(others) == 1:
            return {**_resolved(others[0], root, depth + 1), **{key: value for key, value in schema.items() if key != "anyOf"}}
    return schema


def _value(field: FormField, text: str) -> JsonValue:
    match field.kind:
        case FieldKind.TEXT:
            return text
        case FieldKind.CHOICE:
            if text not in field.options:
                raise ValueError(f"should be one of {', '.join(field.options)}")
            return text
        case FieldKind.BOOLEAN:
            if text not in ("true", "false"):
                raise ValueError("should be true or false")
            return text == "true"
        case FieldKind.INTEGER:
            try:
                return int(text)
            except ValueError:
                raise ValueError("should be a whole number") from None
        case _:
            return _decoded(field, text)


def _decoded(field: FormField, text: str) -> JsonValue:
    try:
        value: JsonValue = msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError) as exc:
        wanted = "a number" if field.kind is FieldKind.NUMBER else f"JSON ({exc}); text goes in quotes"
        raise ValueError(f"should be {wanted}") from None
    if field.kind is FieldKind.NUMBER and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise ValueError("should be a number")
    return value


def _text(field: FormField, value: JsonValue) -> str:
    if isinstance(value, str) and field.kind in (FieldKind.TEXT, FieldKind.CHOICE):
        return value
    return _json(value)


def _json(value: JsonValue) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def _properties(schema: JsonObject | None) -> Mapping[str, JsonValue]:
    found = schema.get("properties") if schema is not None else None
    return found if isinstance(found, Mapping) else {}


def _names(schema: JsonObject | None, member: str) -> frozenset[str]:
    found = schema.get(member) if schema is not None else None
    return frozenset(map(str, found)) if isinstance(found, list | tuple) else frozenset()

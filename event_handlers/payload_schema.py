"""The JSON Schema of a payload, complete in itself, as a validator before the queue uses it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from dualrun.contracts import JsonObject, JsonValue

__all__ = ["schema_of"]

_DEFS = "#/$defs/"
# JSON Schema's format of a type -> the types kombu may have written such a value as.
_TYPED_FORMATS = {
    "date-time": ("datetime",),
    "date": ("date",),
    "time": ("time",),
    "decimal": ("decimal",),
    "uuid": ("uuid",),
}


def schema_of(model: type) -> JsonObject:
    """The schema of a Struct or dataclass: an object without further properties.

    Where a date, time, decimal, UUID or bytes may stand, kombu's typed object may stand too. Raises `TypeError` for types
    JSON has no form of.
    """
    (reference,), definitions = msgspec.json.schema_components([model], ref_template=_DEFS + "{name}")
    name = str(reference["$ref"]).removeprefix(_DEFS)
    components: dict[str, JsonValue] = {key: _with_typed(schema) for key, schema in definitions.items()}
    top = components[name]
    assert isinstance(top, dict)
    others = {key: schema for key, schema in components.items() if key != name or _refers(components, name)}
    schema: dict[str, JsonValue] = {"required": [], **top, "additionalProperties": False}
    return {**schema, "$defs": others} if others else schema


def _with_typed(schema: JsonValue) -> JsonValue:
    if isinstance(schema, list):
        return [_with_typed(member) for member in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: member if key in {"default", "enum", "const"} else _with_typed(member) for key, member in schema.items()}
    markers = _markers(inner)
    if not markers:
        return inner
    default = {"default": inner.pop("default")} if "default" in inner else {}
    return {"anyOf": [inner, _typed_object(markers)], **default}


def _markers(schema: Mapping[str, JsonValue]) -> tuple[str, ...]:
    if schema.get("type") != "string":
        return ()
    if schema.get("contentEncoding") == "base64":
        return ("bytes", "base64")
    name = schema.get("format")
    return _TYPED_FORMATS.get(name, ()) if isinstance(name, str) else ()


def _typed_object(markers: tuple[str, ...]) -> JsonValue:
    return {
        "type": "object",
        "properties": {"__type__": {"enum": list(markers)}, "__value__": {}},
        "required": ["__type__", "__value__"],
        "additionalProperties": False,
    }


def _refers(schema: JsonValue, name: str) -> bool:
    if isinstance(schema, dict):
        return schema.get("$ref") == _DEFS + name or any(_refers(member, name) for member in schema.values())
    return isinstance(schema, list) and any(_refers(member, name) for member in schema)

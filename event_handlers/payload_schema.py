"""The JSON Schema of a payload, complete in itself, as a validator before the queue uses it."""

from __future__ import annotations

import msgspec

from dualrun.contracts import JsonObject, JsonValue

__all__ = ["schema_of"]

_DEFS = "#/$defs/"


def schema_of(model: type) -> JsonObject:
    """The schema of a Struct or dataclass: an object without further properties.

    It describes ordinary JSON; kombu's typed objects are to be read as the text they hold before they are held against it. Raises
    `TypeError` for types JSON has no form of.
    """
    (reference,), components = msgspec.json.schema_components([model], ref_template=_DEFS + "{name}")
    top = str(reference["$ref"]).removeprefix(_DEFS)
    definitions = {name: _with_decimal_numbers(schema) for name, schema in components.items()}
    others = {name: schema for name, schema in definitions.items() if name != top or _refers(list(definitions.values()), top)}
    own = definitions[top]
    assert isinstance(own, dict)
    schema: dict[str, JsonValue] = {"required": [], **own, "additionalProperties": False}
    return {**schema, "$defs": others} if others else schema


def _with_decimal_numbers(schema: JsonValue) -> JsonValue:
    """Numbers beside strings where a decimal stands: msgspec reads it from both, and says only "string"."""
    if isinstance(schema, list):
        return [_with_decimal_numbers(member) for member in schema]
    if not isinstance(schema, dict):
        return schema
    widened = {key: value if key in {"default", "enum"} else _with_decimal_numbers(value) for key, value in schema.items()}
    return {**widened, "type": ["string", "number"]} if widened.get("format") == "decimal" else widened


def _refers(schema: JsonValue, name: str) -> bool:
    if isinstance(schema, dict):
        return schema.get("$ref") == _DEFS + name or any(_refers(member, name) for member in schema.values())
    return isinstance(schema, list) and any(_refers(member, name) for member in schema)

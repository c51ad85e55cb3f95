"""The JSON Schema of a payload, complete in itself, as a validator before the queue uses it."""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec
from msgspec import inspect as mi

from dualrun.contracts import JsonObject

__all__ = ["schema_of"]

_DEFS = "#/$defs/"
# As msgspec makes schemas: plain dicts.
_Schema: TypeAlias = dict[str, Any]
_WithFields: TypeAlias = mi.StructType | mi.DataclassType | mi.TypedDictType | mi.NamedTupleType

# Types kombu writes as objects -> the markers it may have used.
_MARKERS: dict[type[mi.Type], tuple[str, ...]] = {
    mi.DateTimeType: ("datetime",),
    mi.DateType: ("date",),
    mi.TimeType: ("time",),
    mi.DecimalType: ("decimal",),
    mi.UUIDType: ("uuid",),
    mi.BytesType: ("bytes", "base64"),
}


def schema_of(model: type) -> JsonObject:
    """The schema of a Struct or dataclass: an object without further properties.

    It takes whatever the handler takes: where a date, time, decimal, UUID or bytes may stand, kombu's typed object may stand too. Raises
    `TypeError` for types JSON has no form of.
    """
    named: dict[Any, _WithFields] = {}
    _collect(mi.type_info(model), named)
    references, components = msgspec.json.schema_components(list(named), ref_template=_DEFS + "{name}")
    names = [str(reference["$ref"]).removeprefix(_DEFS) for reference in references]
    for name, info in zip(names, named.values(), strict=True):
        _widen_fields(info, components[name])
    top = names[0]
    others = {name: schema for name, schema in components.items() if name != top or _refers(components, top)}
    schema = {"required": [], **components[top], "additionalProperties": False}
    return {**schema, "$defs": others} if others else schema


def _collect(info: mi.Type, named: dict[Any, _WithFields]) -> None:
    """Every type with fields in it, by its class, the outermost first."""
    if isinstance(info, _WithFields):
        if info.cls in named:
            return
        named[info.cls] = info
    for inner in _inner(info):
        _collect(inner, named)


def _inner(info: mi.Type) -> tuple[mi.Type, ...]:
    if isinstance(info, _WithFields):
        return tuple(field.type for field in info.fields)
    if isinstance(info, mi.Metadata):
        return (info.type,)
    if isinstance(info, mi.CollectionType):
        return (info.item_type,)
    if isinstance(info, mi.TupleType):
        return info.item_types
    if isinstance(info, mi.DictType):
        return (info.value_type,)
    return info.types if isinstance(info, mi.UnionType) else ()


def _widen_fields(info: _WithFields, schema: _Schema) -> None:
    if "properties" in schema:
        for field in info.fields:
            _widen(field.type, schema["properties"][field.encode_name])
    else:
        for field, place in zip(info.fields, schema["prefixItems"], strict=True):
            _widen(field.type, place)


def _widen(info: mi.Type, schema: _Schema) -> None:
    """Let the typed objects stand in a schema msgspec made of this type, wherever they may."""
    while isinstance(info, mi.Metadata):
        info = info.type
    markers = _MARKERS.get(type(info))
    if markers is not None:
        _replace(schema, markers, _numbers(info))
    elif isinstance(info, mi.CollectionType) and "items" in schema:
        _widen(info.item_type, schema["items"])
    elif isinstance(info, mi.TupleType):
        for item, place in zip(info.item_types, schema.get("prefixItems", ()), strict=True):
            _widen(item, place)
    elif isinstance(info, mi.DictType) and isinstance(schema.get("additionalProperties"), dict):
        _widen(info.value_type, schema["additionalProperties"])
    elif isinstance(info, mi.UnionType):
        # msgspec puts Structs and None behind the others, which keep their order; a `$ref` is widened where it points to.
        others = [member for member in info.types if not isinstance(_bare(member), mi.StructType | mi.NoneType)]
        for member, place in zip(others, schema["anyOf"], strict=False):
            _widen(member, place)


def _bare(info: mi.Type) -> mi.Type:
    while isinstance(info, mi.Metadata):
        info = info.type
    return info


def _numbers(info: mi.Type) -> list[_Schema]:
    # msgspec reads decimals from numbers too, and says only "string".
    return [{"type": "number"}] if isinstance(info, mi.DecimalType) else []


def _replace(schema: _Schema, markers: tuple[str, ...], others: list[_Schema]) -> None:
    about: _Schema = {key: schema.pop(key) for key in ("default", "title", "description", "examples") if key in schema}
    own = dict(schema)
    schema.clear()
    typed: _Schema = {
        "type": "object",
        "properties": {"__type__": {"enum": list(markers)}, "__value__": {}},
        "required": ["__type__", "__value__"],
        "additionalProperties": False,
    }
    schema.update({"anyOf": [own, *others, typed], **about})


def _refers(schema: object, name: str) -> bool:
    if isinstance(schema, dict):
        return schema.get("$ref") == _DEFS + name or any(_refers(member, name) for member in schema.values())
    return isinstance(schema, list) and any(_refers(member, name) for member in schema)

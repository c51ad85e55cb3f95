"""What may cross the gateway: JSON values, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    JsonScalar: TypeAlias = None | bool | int | float | str
    JsonValue: TypeAlias = JsonScalar | Sequence["JsonValue"] | Mapping[str, "JsonValue"]
    JsonObject: TypeAlias = Mapping[str, JsonValue]
else:
    # msgspec resolves annotations at run time and has no recursive aliases; any JSON value is its `Any`.
    JsonScalar = Any
    JsonValue = Any
    JsonObject = dict[str, Any]

__all__ = ["JsonObject", "JsonScalar", "JsonValue"]

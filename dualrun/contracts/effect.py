"""An effect: something a task did to the outside, or would have done as a shadow."""

from __future__ import annotations

import msgspec

from dualrun.contracts.values import JsonValue

__all__ = ["Effect", "EffectKind", "GeneratedKey"]


class EffectKind:
    """The kinds the built-in captures use. `effect()` may name its own."""

    HTTP = "http"
    EMAIL = "email"
    SQL = "sql"
    MESSAGE = "message"
    CACHE = "cache"
    FILE = "file"
    OBJECT = "object"
    """An object in object storage."""


class Effect(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One effect, in the order the task caused it.

    `key` says what was touched in a form both sides share (`POST http://shop/orders/1/status`, `to:a@example.org`);
    `payload` says with what. Two runs did the same when their multisets of (kind, key, payload, error) are equal.
    """

    kind: str
    key: str
    payload: JsonValue = None
    performed: bool = True
    """False where a shadow's effect was captured and not carried out."""
    concurrent: bool = False
    """True where the run made calls of this kind and key from several threads or asyncio tasks: their order says nothing."""
    error: str | None = None
    """The kind of error the outside answered with; None when it went well."""


class GeneratedKey(msgspec.Struct, frozen=True, kw_only=True):
    """A number the database gave to a new row: another in every run, by the same name in each."""

    name: str
    """Table and place among its new rows: `orders#1`."""
    value: str
    """In decimal digits."""

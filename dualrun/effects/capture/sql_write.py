"""The rows a statement wrote, in the form both sides share."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeAlias, cast
from uuid import UUID

from dualrun.effects.capture.sql_statement import Statement
from dualrun.effects.capture.sql_tokens import Token, Tokens

__all__ = ["Parameters", "SqlWrite", "plain", "unchanged", "writes_of"]

Parameters: TypeAlias = "Sequence[object] | Mapping[str, object]"

Generated: TypeAlias = Mapping[tuple[str, str], str]
_NONE_GENERATED: Generated = {}
unchanged: ContextVar[frozenset[str]] = ContextVar("dualrun_unchanged_columns", default=frozenset())
"""Columns an ORM is about to write as they are: known to it, and not to be seen in its statement."""

_CONSTANTS: Mapping[str, object] = {"NULL": None, "TRUE": True, "FALSE": False}
_WRAPPERS = frozenset({"Json", "Jsonb"})
_LITERAL_MAX = 500


@dataclass(frozen=True, slots=True)
class SqlWrite:
    """One row written, or one statement whose rows are not named: the key and payload of its effect."""

    key: str
    payload: Mapping[str, object]


def plain(parameters: object) -> Parameters:
    """The parameters as a driver was given them, in one of two shapes."""
    if parameters is None:
        return ()
    return parameters if isinstance(parameters, Mapping) else tuple(cast("Iterable[object]", parameters))


def writes_of(statement: Statement, parameters: Parameters, rows: int, generated: Generated = _NONE_GENERATED) -> list[SqlWrite]:
    """The effects of a statement that ran with these parameters and touched `rows` rows (-1: not told).

    `generated` names the keys the database gave to rows of the same run: another run is given others for the same rows.
    """
    before = [write for one in statement.within for write in _writes(one, parameters, -1, generated)] if statement.within else []
    return before + _writes(statement, parameters, rows if statement.counted else -1, generated)


def _writes(statement: Statement, parameters: Parameters, rows: int, generated: Generated) -> list[SqlWrite]:
    if statement.rows or (statement.columns and statement.lists):
        said = _on_conflict(statement, parameters)
        return [_inserted(statement, row, said, generated) for row in _inserted_rows(statement, parameters)]

    def value_of(column: str, operand: Tokens) -> object:
        return _named(column, _value(operand, statement, parameters), statement.table, generated)

    where = {name: value_of(name, operand) for name, operand in statement.where}
    named = "".join(f" {name}={value}" for name, value in sorted(where.items()))
    payload: dict[str, object] = {}
    if statement.changes:
        same = unchanged.get()
        changes = {name: value_of(name, operand) for name, operand in statement.changes if name not in same}
        if not changes:
            return []
        payload["set"] = changes
    if statement.columns:
        payload["columns"] = statement.columns
    if statement.rest:
        payload["where" if statement.table else "statement"] = _text(statement.rest, statement, parameters)
    if rows >= 0 and rows != 1:
        # One is what nearly every statement touches, and what many at once do not tell.
        payload["rows"] = rows
    return [SqlWrite(f"{statement.verb} {statement.table}".rstrip() + named, payload)]


def _inserted_rows(statement: Statement, parameters: Parameters) -> Iterator[tuple[object, ...]]:
    if statement.rows:
        for row in statement.rows:
            yield tuple(_value(operand, statement, parameters) for operand in row)
        return
    lists = [_value(operand, statement, parameters) for operand in statement.lists]
    yield from zip(*(values if isinstance(values, list | tuple) else () for values in lists), strict=False)


def _on_conflict(statement: Statement, parameters: Parameters) -> Mapping[str, object]:
    if statement.on_conflict is None:
        return {}
    if not statement.on_conflict:
        return {"on_conflict": "nothing"}
    done: dict[str, object] = {"set": {name: _value(operand, statement, parameters) for name, operand in statement.on_conflict}}
    if statement.on_conflict_where:
        done["where"] = _text(statement.on_conflict_where, statement, parameters)
    return {"on_conflict": done}


def _inserted(statement: Statement, row: tuple[object, ...], said: Mapping[str, object], generated: Generated) -> SqlWrite:
    """NULLs are left out: an ORM writes one for every column that a statement by hand does not mention."""
    if not statement.columns:
        return SqlWrite(f"{statement.verb} {statement.table}", {"values": row, **said})
    given = {name: value for name, value in zip(statement.columns, row, strict=False) if not _is_default(value)}
    columns = {name: _named(name, value, statement.table, generated) for name, value in given.items()}
    named = f" id={columns['id']}" if columns.get("id") is not None else ""
    return SqlWrite(f"{statement.verb} {statement.table}{named}", {"set": columns, **said})


def _named(column: str, value: object, table: str, generated: Generated) -> object:
    """The name of a generated key where the column holds one: `id` of the same table, or `order_id` of a table whose name says order."""
    if not generated or not isinstance(value, int | str | UUID):
        return value
    if column == "id":
        return generated.get((table, str(value)), value)
    if column.endswith("_id"):
        stem = column.removesuffix("_id")
        return next((name for (owner, key), name in generated.items() if key == str(value) and _is_table_of(owner, stem)), value)
    return value


def _is_table_of(table: str, stem: str) -> bool:
    """`order_id` is of order, orders or shop_order, `company_id` of companies.

    Where neither holds, the value stays: the comparison knows the run's keys, and looks for them only where the sides differ.
    """
    name = table.rpartition(".")[2]
    return any(name == one or name.endswith(f"_{one}") for one in (stem, f"{stem}s", f"{stem}es", f"{stem[:-1]}ies"))


def _is_default(value: object) -> bool:
    return value is None or value == {"sql": "default"}


def _value(operand: Tokens, statement: Statement, parameters: Parameters) -> object:
    """The value where the statement and its parameters show it; the text of an expression otherwise."""
    if len(operand) != 1:
        return {"sql": _text(operand, statement, parameters)}
    token = operand[0]
    if token.parameter is not None:
        return _canonical(_parameter(token.parameter, parameters))
    if token.kind == "text":
        return _canonical(token.text[1:-1].replace("''", "'")) if token.text[0] == "'" else token.text
    if token.kind == "number":
        return int(token.text) if token.text.isdigit() else float(token.text)
    return _CONSTANTS.get(token.word, {"sql": token.text.lower()})


def _canonical(value: object) -> object:
    """The value a driver's wrapper holds; a JSON document is the document, whether it is given as text, bytes or a wrapper."""
    if type(value).__name__ in _WRAPPERS:
        return getattr(value, "obj", getattr(value, "adapted", value))
    if isinstance(value, memoryview):
        return bytes(value)
    if isinstance(value, int) and type(value).__module__.startswith("psycopg."):
        # Django says by a class of psycopg's how wide a number is.
        return int(value)
    if isinstance(value, str) and value[:1] in {"{", "["}:
        try:
            document: object = json.loads(value)
        except ValueError:
            return value
        return document
    return value


def _parameter(at: int | str, parameters: Parameters) -> object:
    if isinstance(parameters, Mapping):
        return parameters.get(str(at))
    return parameters[at] if isinstance(at, int) and at < len(parameters) else None


def _text(tokens: Tokens, statement: Statement, parameters: Parameters) -> str:
    """The tokens with the values of their parameters; without quotes around names, nor the table's own name before its columns."""
    words: list[str] = []
    table = statement.table.rpartition(".")[2]
    skipped = False
    for i, token in enumerate(tokens):
        if skipped:
            skipped = False
        elif token.name == table and i + 1 < len(tokens) and tokens[i + 1].text == "." and token.kind in {"word", "quoted"}:
            skipped = True
        else:
            words.append(_word(token, parameters))
    return " ".join(words)


def _word(token: Token, parameters: Parameters) -> str:
    if token.parameter is not None:
        value = _parameter(token.parameter, parameters)
        return f"'{value}'"[:_LITERAL_MAX] if isinstance(value, str) else str(value)[:_LITERAL_MAX]
    return token.text if token.kind == "text" else token.name

"""What an SQL statement writes, read from its text: enough of the grammar to name table, row and columns, and no more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

from dualrun.effects.capture.sql_tokens import Token, Tokens, group, split, split_once, tokens_of, until, unwrapped

__all__ = ["Statement", "parse", "statements_of"]

_WRITES = frozenset(
    {"INSERT", "REPLACE", "UPDATE", "DELETE", "MERGE", "TRUNCATE", "CREATE", "ALTER", "DROP", "COPY", "CALL", "DO", "GRANT", "REVOKE"}
    | {"NOTIFY", "COMMENT", "REFRESH", "REINDEX", "IMPORT"}
)
_CONTROL = frozenset({"BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE"})
_DEFAULT_SCHEMAS = frozenset({"public", "main"})
_SET_END = frozenset({"WHERE", "FROM", "RETURNING"})
_WHERE_END = frozenset({"RETURNING", "ORDER", "LIMIT"})
_VALUE_KINDS = frozenset({"parameter", "number", "text"})
_KEYS = frozenset({"id", "pk", "uid", "rowid", "number"})
_KEY_ENDS = ("_id", "_pk", "_key", "_no", "_nr", "_number")


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement. `rows` are those of an INSERT, `changes` the columns an UPDATE sets, `where` the equalities that name the row."""

    verb: str
    table: str = ""
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Tokens, ...], ...] = ()
    lists: tuple[Tokens, ...] = ()
    """Of an INSERT from UNNEST: for each column the parameter that holds the values of all rows."""
    changes: tuple[tuple[str, Tokens], ...] = ()
    where: tuple[tuple[str, Tokens], ...] = ()
    rest: Tokens = ()
    """What of the condition is no equality, or the body of what could not be read further."""
    key_at: int | None = None
    """Of an INSERT with RETURNING: which column of the answer is the key the database gave to the row; None where none looks like one."""
    savepoint: str | None = None
    calls: frozenset[str] = frozenset()
    """The names of the functions it calls, wherever in it; and of what else stands before a parenthesis."""

    @property
    def writes(self) -> bool:
        """True where it changes the database."""
        return self.verb in _WRITES

    @property
    def makes_keys(self) -> bool:
        """True where the database gives the new rows their keys. VALUES without columns are of all columns, the key's too."""
        return self.verb == "INSERT" and "id" not in self.columns and (bool(self.columns) or not self.rows)

    @property
    def controls(self) -> bool:
        """True where it begins, ends or marks a transaction."""
        return self.verb in _CONTROL


@lru_cache(maxsize=2_000)
def statements_of(sql: str) -> tuple[Statement, ...]:
    """The statements of a text, nearly always one. A body in which semicolons stand unquoted (a trigger's) is not for this function."""
    return tuple(replace(_statement(part), calls=_calls(part)) for part in split(tuple(tokens_of(sql)), ";") if part) or (
        Statement(verb=""),
    )


def parse(sql: str) -> Statement:
    """Read the first statement of a text. Never raises: what it cannot read is kept in `rest`."""
    return statements_of(sql)[0]


def _statement(tokens: Tokens) -> Statement:
    verb = _verb(tokens)
    at = next((i for i, token in enumerate(tokens) if token.word == verb), 0)
    body = tokens[at + 1 :]
    match verb:
        case "INSERT" | "REPLACE":
            return _insert(verb, body)
        case "UPDATE":
            return _update(body)
        case "DELETE":
            return _delete(body)
        case "SAVEPOINT" | "RELEASE" | "ROLLBACK":
            return Statement(verb=verb, savepoint=_savepoint(verb, body))
        case _:
            return Statement(verb=verb, rest=body)


def _calls(tokens: Tokens) -> frozenset[str]:
    return frozenset(token.name for token, after in pairwise(tokens) if after.text == "(" and token.kind in {"word", "quoted"})


def _verb(tokens: Sequence[Token]) -> str:
    """The first word; of a WITH, EXPLAIN excepted, the word that writes, wherever it stands: a CTE may write too."""
    first = tokens[0].word if tokens else ""
    if first == "WITH":
        return next((token.word for token in tokens if token.word in {"INSERT", "UPDATE", "DELETE", "MERGE"}), "SELECT")
    if first == "SELECT" and any(token.word == "INTO" for token in tokens):
        return "CREATE"
    return {"END": "COMMIT", "START": "BEGIN", "ABORT": "ROLLBACK"}.get(first, first)


def _insert(verb: str, body: Sequence[Token]) -> Statement:
    if len(body) > 1 and body[0].word == "OR":
        verb, body = ("REPLACE" if body[1].word == "REPLACE" else verb), body[2:]
    if body and body[0].word == "INTO":
        body = body[1:]
    table, body = _table(body)
    columns: tuple[str, ...] = ()
    if body and body[0].word == "(":
        names, body = group(body)
        columns = tuple(part[-1].name for part in split(names, ",") if part)
    key_at = _key_at(body, columns)
    if body and body[0].word == "SELECT":
        return _insert_select(verb, table, columns, body, key_at)
    if not body or body[0].word != "VALUES":
        return Statement(verb=verb, table=table, columns=columns, rest=tuple(body), key_at=key_at)
    return Statement(verb=verb, table=table, columns=columns, rows=_rows(body[1:]), key_at=key_at)


def _insert_select(verb: str, table: str, columns: tuple[str, ...], body: Sequence[Token], key_at: int | None) -> Statement:
    """The two ways in which ORMs insert many rows at once: SQLAlchemy's `SELECT p0, ... FROM (VALUES ...)`, Django's `UNNEST`."""
    chosen, source = split_once(body[1:], "FROM")
    if len(source) > 2 and source[0].word == "UNNEST":
        lists, _ = group(source[1:])
        return Statement(
            verb=verb, table=table, columns=columns, lists=tuple(tuple(unwrapped(x)) for x in split(lists, ",")), key_at=key_at
        )
    if len(source) > 2 and source[0].text == "(" and source[1].word == "VALUES":
        values, alias = group(source)
        opening = next((i for i, token in enumerate(alias) if token.text == "("), len(alias))
        names = [part[-1].name for part in split(group(alias[opening:])[0], ",") if part]
        wanted = [part[-1].name for part in split(chosen, ",") if part]
        if set(wanted) <= set(names):
            picked = [names.index(name) for name in wanted]
            rows = tuple(tuple(row[i] for i in picked if i < len(row)) for row in _rows(values[1:]))
            return Statement(verb=verb, table=table, columns=columns, rows=rows, key_at=key_at)
    return Statement(verb=verb, table=table, columns=columns, rest=tuple(body), key_at=key_at)


def _rows(body: Sequence[Token]) -> tuple[tuple[Tokens, ...], ...]:
    rows: list[tuple[Tokens, ...]] = []
    while body and body[0].word in {"(", ","}:
        if body[0].word == ",":
            body = body[1:]
            continue
        row, body = group(body)
        rows.append(tuple(split(row, ",")))
    return tuple(rows)


def _update(body: Sequence[Token]) -> Statement:
    if len(body) > 1 and body[0].word == "OR":
        body = body[2:]
    table, body = _table(body)
    _, body = split_once(body, "SET")
    clause, body = until(body, _SET_END)
    changes = tuple((part[0].name, tuple(unwrapped(part[2:]))) for part in split(clause, ",") if len(part) > 2 and part[1].text == "=")
    where, rest = _conditions(body)
    return Statement(verb="UPDATE", table=table, changes=changes, where=where, rest=rest)


def _delete(body: Sequence[Token]) -> Statement:
    table, body = _table(body[1:] if body and body[0].word == "FROM" else body)
    where, rest = _conditions(body)
    return Statement(verb="DELETE", table=table, where=where, rest=rest)


def _conditions(body: Sequence[Token]) -> tuple[tuple[tuple[str, Tokens], ...], Tokens]:
    """The equalities joined by AND, and all the others, joined by AND again in an order of their own."""
    _, body = split_once(body, "WHERE")
    clause = unwrapped(until(body, _WHERE_END)[0])
    if len(split(clause, "OR")) > 1:
        return (), tuple(clause)
    equal: list[tuple[str, Tokens]] = []
    others: list[Tokens] = []
    for part in split(clause, "AND"):
        condition = tuple(unwrapped(part))
        named = _equality(condition)
        if named is not None:
            equal.append(named)
        elif condition:
            others.append(condition)
    joined: list[Token] = []
    for condition in sorted(others, key=lambda tokens: [token.text.lower() for token in tokens]):
        joined += [*([Token("word", "AND")] if joined else []), *condition]
    return tuple(equal), tuple(joined)


def _equality(part: Tokens) -> tuple[str, Tokens] | None:
    """Column and value of `column = value` and of `column IN (value)`."""
    before, after = split_once(part, "=")
    if not after:
        before, after = split_once(part, "IN")
        after = tuple(unwrapped(after))
    if len(after) == 1 and after[0].kind in _VALUE_KINDS and _is_column(before):
        return before[-1].name, after
    return None


def _is_column(tokens: Tokens) -> bool:
    """True for a name, or names joined by dots."""
    return len(tokens) % 2 == 1 and all(token.text == "." if i % 2 else token.kind in {"word", "quoted"} for i, token in enumerate(tokens))


def _key_at(body: Sequence[Token], given: Sequence[str]) -> int | None:
    """By its name, or as the first of all columns: what else a row is answered with (a total, a version) is no key."""
    _, clause = split_once(body, "RETURNING")
    for at, part in enumerate(split(clause, ",")):
        if part and part[-1].text == "*":
            return at if "id" not in given else None
        name = part[-1].name if _is_column(part) else ""
        if (name in _KEYS or name.endswith(_KEY_ENDS)) and name not in given:
            return at
    return None


def _table(body: Sequence[Token]) -> tuple[str, Sequence[Token]]:
    body = body[1:] if body and body[0].word == "ONLY" else body
    names: list[str] = []
    while body and body[0].kind in {"word", "quoted"}:
        names.append(body[0].name)
        body = body[1:]
        if not body or body[0].text != ".":
            break
        body = body[1:]
    return ".".join(name for i, name in enumerate(names) if i or len(names) == 1 or name not in _DEFAULT_SCHEMAS), body


def _savepoint(verb: str, body: Sequence[Token]) -> str | None:
    names = [token.name for token in body if token.word not in {"SAVEPOINT", "TO", "TRANSACTION", "WORK"}]
    if verb == "ROLLBACK" and all(token.word != "TO" for token in body):
        return None
    return names[0] if names else None

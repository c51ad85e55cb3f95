"""What an SQL statement writes, read from its text: enough of the grammar to name table, row and columns, and no more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

from dualrun.effects.capture.sql_clauses import Changes, assignments, conditions, conflict, key_at, with_parts
from dualrun.effects.capture.sql_tokens import Token, Tokens, group, split, split_once, tokens_of, until, unwrapped

__all__ = ["ESCAPED", "Statement", "parse", "statements_of"]

ESCAPED = "U&"
"""Among the functions called: a name or text with escapes (`U&"..."`), which may be any."""

_WRITES = frozenset(
    {"INSERT", "REPLACE", "UPDATE", "DELETE", "MERGE", "TRUNCATE", "CREATE", "ALTER", "DROP", "COPY", "CALL", "DO", "GRANT", "REVOKE"}
    | {"NOTIFY", "COMMENT", "REFRESH", "REINDEX", "IMPORT"}
)
_CONTROL = frozenset({"BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE"})
_DEFAULT_SCHEMAS = frozenset({"public", "main"})
_SET_END = frozenset({"WHERE", "FROM", "RETURNING"})
_ANSWER = frozenset({"RETURNING"})
_AFTER_WITH = frozenset({"SELECT", "VALUES", "INSERT", "REPLACE", "UPDATE", "DELETE", "MERGE"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement. `rows` are those of an INSERT, `changes` the columns an UPDATE sets, `where` the equalities that name the row."""

    verb: str
    table: str = ""
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Tokens, ...], ...] = ()
    lists: tuple[Tokens, ...] = ()
    """Of an INSERT from UNNEST: for each column the parameter that holds the values of all rows."""
    changes: Changes = ()
    on_conflict: Changes | None = None
    """Of an INSERT: what is set in a row that is there already, nothing where it is left as it is; None where nothing is said of it."""
    on_conflict_where: Tokens = ()
    where: tuple[tuple[str, Tokens], ...] = ()
    rest: Tokens = ()
    """What of the condition is no equality, or the body of what could not be read further."""
    key_at: int | None = None
    """Of an INSERT with RETURNING: which column of the answer is the key the database gave to the row; None where none looks like one."""
    within: tuple[Statement, ...] = ()
    """The writes in its WITH, which come before it."""
    counted: bool = True
    """False where the rows the driver counts are not those it wrote: a write in the WITH of a SELECT."""
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
    if tokens and tokens[0].word == "WITH":
        return _with(tokens)
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
    names = {token.name for token, after in pairwise(tokens) if after.text == "(" and token.kind in {"word", "quoted"}}
    if any(token.word == "U" and after.text == "&" for token, after in pairwise(tokens)):
        names.add(ESCAPED)
    return frozenset(names)


def _verb(tokens: Sequence[Token]) -> str:
    first = tokens[0].word if tokens else ""
    if first == "SELECT" and any(token.word == "INTO" for token in tokens):
        return "CREATE"
    return {"END": "COMMIT", "START": "BEGIN", "ABORT": "ROLLBACK"}.get(first, first)


def _with(tokens: Tokens) -> Statement:
    """What follows the WITH, where that writes; else the last write within it. All others come before it."""
    bodies, after = with_parts(tokens)
    _, rest = until(after, _AFTER_WITH)
    # The answer is that of what follows.
    within = tuple(replace(one, key_at=None) for one in map(_statement, bodies) if one.writes)
    last = _statement(tuple(rest)) if rest else Statement(verb="SELECT", rest=tokens)
    if last.writes or not within:
        return replace(last, within=within)
    return replace(within[-1], within=within[:-1], counted=False)


def _insert(verb: str, body: Sequence[Token]) -> Statement:
    ignored = False
    if len(body) > 1 and body[0].word == "OR":
        verb, ignored, body = ("REPLACE" if body[1].word == "REPLACE" else verb), body[1].word == "IGNORE", body[2:]
    if body and body[0].word == "INTO":
        body = body[1:]
    table, body = _table(body)
    if body and body[0].word == "AS":
        body = body[2:]
    columns: tuple[str, ...] = ()
    if body and body[0].word == "(":
        names, body = group(body)
        columns = tuple(part[-1].name for part in split(names, ",") if part)
    said, changes, where = conflict(body)
    insert = Statement(
        verb=verb,
        table=table,
        columns=columns,
        key_at=key_at(body, columns),
        on_conflict=changes if said or ignored else None,
        on_conflict_where=where,
    )
    if body and body[0].word == "SELECT":
        return _insert_select(insert, body)
    if not body or body[0].word != "VALUES":
        return replace(insert, rest=tuple(until(body, _ANSWER)[0]))
    return replace(insert, rows=_rows(body[1:]))


def _insert_select(insert: Statement, body: Sequence[Token]) -> Statement:
    """The two ways in which ORMs insert many rows at once: SQLAlchemy's `SELECT p0, ... FROM (VALUES ...)`, Django's `UNNEST`."""
    chosen, source = split_once(body[1:], "FROM")
    if len(source) > 2 and source[0].word == "UNNEST":
        lists, _ = group(source[1:])
        return replace(insert, lists=tuple(tuple(unwrapped(x)) for x in split(lists, ",")))
    if len(source) > 2 and source[0].text == "(" and source[1].word == "VALUES":
        values, alias = group(source)
        opening = next((i for i, token in enumerate(alias) if token.text == "("), len(alias))
        names = [part[-1].name for part in split(group(alias[opening:])[0], ",") if part]
        wanted = [part[-1].name for part in split(chosen, ",") if part]
        if set(wanted) <= set(names):
            picked = [names.index(name) for name in wanted]
            rows = tuple(tuple(row[i] for i in picked if i < len(row)) for row in _rows(values[1:]))
            return replace(insert, rows=rows)
    return replace(insert, rest=tuple(until(body, _ANSWER)[0]))


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
    changes = assignments(clause)
    where, rest = conditions(body)
    return Statement(verb="UPDATE", table=table, changes=changes, where=where, rest=rest)


def _delete(body: Sequence[Token]) -> Statement:
    table, body = _table(body[1:] if body and body[0].word == "FROM" else body)
    where, rest = conditions(body)
    return Statement(verb="DELETE", table=table, where=where, rest=rest)


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

"""What an SQL statement writes, read from its text: enough of the grammar to name table, row and columns, and no more."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

__all__ = ["Parameters", "SqlWrite", "Statement", "parse", "writes_of"]

Parameters: TypeAlias = "Sequence[object] | Mapping[str, object]"

_TOKEN = re.compile(
    r"""(?P<space>\s+|--[^\n]*|/\*.*?\*/)
      | (?P<text>[eE]'(?:\\.|''|[^'\\])*'|'(?:''|[^'])*'|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
      | (?P<quoted>"(?:""|[^"])*"|`[^`]*`)
      | (?P<cast>::\s*\w+(?:\(\d+\))?)
      | (?P<parameter>\?\d*|\$\d+|%\(\w+\)s|%s|[:@$][A-Za-z_]\w*)
      | (?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
      | (?P<word>[^\W\d]\w*)
      | (?P<sign><=|>=|<>|!=|\|\||.)""",
    re.VERBOSE | re.DOTALL,
)
_WRITES = frozenset(
    {"INSERT", "REPLACE", "UPDATE", "DELETE", "MERGE", "TRUNCATE", "CREATE", "ALTER", "DROP", "COPY", "CALL", "GRANT", "REVOKE"}
)
_DEFAULT_SCHEMAS = frozenset({"public", "main"})
_VALUES_END = frozenset({"ON", "RETURNING"})
_SET_END = frozenset({"WHERE", "FROM", "RETURNING"})
_WHERE_END = frozenset({"RETURNING", "ORDER", "LIMIT"})
_CONSTANTS: Mapping[str, object] = {"NULL": None, "TRUE": True, "FALSE": False}


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the text. `parameter` is where its value stands: a position, or a name."""

    kind: str
    text: str
    parameter: int | str | None = None

    @property
    def word(self) -> str:
        """The keyword it may be, in capitals; empty for what is quoted."""
        return self.text.upper() if self.kind in {"word", "sign"} else ""

    @property
    def name(self) -> str:
        """The name it stands for: unquoted names are the same in any case."""
        return self.text[1:-1] if self.kind == "quoted" else self.text.lower()


Operand: TypeAlias = "tuple[Token, ...]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement. `rows` are those of an INSERT, `changes` the columns an UPDATE sets, `where` the equalities that name the row."""

    verb: str
    table: str = ""
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Operand, ...], ...] = ()
    changes: tuple[tuple[str, Operand], ...] = ()
    where: tuple[tuple[str, Operand], ...] = ()
    rest: str = ""
    """What of the condition is no equality, or the body of what could not be read further."""
    savepoint: str | None = None

    @property
    def writes(self) -> bool:
        """True where it changes the database."""
        return self.verb in _WRITES


@dataclass(frozen=True, slots=True)
class SqlWrite:
    """One row written, or one statement whose rows are not named: the key and payload of its effect."""

    key: str
    payload: Mapping[str, object]


@lru_cache(maxsize=2_000)
def parse(sql: str) -> Statement:
    """Read a statement. Never raises: what it cannot read is kept as text in `rest`."""
    tokens = tuple(_tokens(sql))
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
            return Statement(verb=verb, rest=_text(body))


def writes_of(statement: Statement, parameters: Parameters, rows: int) -> list[SqlWrite]:
    """The effects of a statement that ran with these parameters and touched `rows` rows (-1: not told)."""
    if statement.rows and statement.columns:
        return [_inserted(statement, row, parameters) for row in statement.rows]
    where = {name: _value(operand, parameters) for name, operand in statement.where}
    named = "".join(f" {name}={value}" for name, value in sorted(where.items()))
    payload: dict[str, object] = {}
    if statement.changes:
        payload["set"] = {name: _value(operand, parameters) for name, operand in statement.changes}
    if statement.rest:
        payload["statement" if not statement.table else "where"] = statement.rest
        payload["parameters"] = dict(parameters) if isinstance(parameters, Mapping) else list(parameters)
    if rows >= 0:
        payload["rows"] = rows
    return [SqlWrite(f"{statement.verb} {statement.table}".rstrip() + named, payload)]


def _inserted(statement: Statement, row: tuple[Operand, ...], parameters: Parameters) -> SqlWrite:
    """NULLs are left out: an ORM writes one for every column that a statement by hand does not mention."""
    columns = {name: _value(operand, parameters) for name, operand in zip(statement.columns, row, strict=False)}
    named = f" id={columns['id']}" if columns.get("id") is not None else ""
    return SqlWrite(f"{statement.verb} {statement.table}{named}", {"set": {n: v for n, v in columns.items() if v is not None}, "rows": 1})


def _tokens(sql: str) -> Iterator[Token]:
    position = 0
    for found in _TOKEN.finditer(sql):
        kind, text = found.lastgroup or "", found.group()
        kind = "text" if kind == "tag" else kind
        if kind in {"space", "cast"} or text == ";":
            continue
        if kind == "parameter":
            number = text[1:]
            if text in {"?", "%s"}:
                parameter: int | str = position
                position += 1
            else:
                parameter = int(number) - 1 if number.isdigit() else number.strip("()s") if text[0] == "%" else number
            if text.startswith("%("):
                parameter = text[2:-2]
            yield Token(kind, text, parameter)
        else:
            yield Token(kind, text)


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
        names, body = _group(body)
        columns = tuple(part[-1].name for part in _split(names, {","}) if part)
    if not body or body[0].word != "VALUES":
        return Statement(verb=verb, table=table, columns=columns, rest=_text(body))
    rows, body = [], body[1:]
    while body and body[0].word in {"(", ","}:
        if body[0].word == ",":
            body = body[1:]
            continue
        row, body = _group(body)
        rows.append(tuple(_split(row, {","})))
    return Statement(verb=verb, table=table, columns=columns, rows=tuple(rows))


def _update(body: Sequence[Token]) -> Statement:
    if len(body) > 1 and body[0].word == "OR":
        body = body[2:]
    table, body = _table(body)
    start = next((i for i, token in enumerate(body) if token.word == "SET"), len(body))
    clause, body = _until(body[start + 1 :], _SET_END)
    changes = tuple((part[0].name, part[2:]) for part in _split(clause, {","}) if len(part) > 2 and part[1].text == "=")
    where, rest = _conditions(body)
    return Statement(verb="UPDATE", table=table, changes=changes, where=where, rest=rest)


def _delete(body: Sequence[Token]) -> Statement:
    table, body = _table(body[1:] if body and body[0].word == "FROM" else body)
    where, rest = _conditions(body)
    return Statement(verb="DELETE", table=table, where=where, rest=rest)


def _conditions(body: Sequence[Token]) -> tuple[tuple[tuple[str, Operand], ...], str]:
    """The equalities joined by AND, and the text of all the others."""
    start = next((i for i, token in enumerate(body) if token.word == "WHERE"), len(body))
    clause, _ = _until(body[start + 1 :], _WHERE_END)
    if any(token.word == "OR" for token in clause):
        return (), _text(clause)
    equal: list[tuple[str, Operand]] = []
    others: list[str] = []
    for part in _split(clause, {"AND"}):
        sign = next((i for i, token in enumerate(part) if token.text == "="), 0)
        if sign and len(part) == sign + 2 and part[-1].kind in {"parameter", "number", "text"}:
            equal.append((part[sign - 1].name, part[sign + 1 :]))
        else:
            others.append(_text(part))
    return tuple(equal), " AND ".join(sorted(others))


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


def _group(body: Sequence[Token]) -> tuple[Sequence[Token], Sequence[Token]]:
    """What stands between the parenthesis that opens here and the one that closes it, and what follows."""
    depth = 0
    for i, token in enumerate(body):
        depth += (token.text == "(") - (token.text == ")")
        if depth == 0:
            return body[1:i], body[i + 1 :]
    return body[1:], ()


def _until(body: Sequence[Token], words: frozenset[str]) -> tuple[Sequence[Token], Sequence[Token]]:
    depth = 0
    for i, token in enumerate(body):
        depth += (token.text == "(") - (token.text == ")")
        if depth == 0 and token.word in words:
            return body[:i], body[i:]
    return body, ()


def _split(body: Sequence[Token], words: set[str]) -> list[Operand]:
    parts: list[list[Token]] = [[]]
    depth = 0
    for token in body:
        depth += (token.text == "(") - (token.text == ")")
        if depth == 0 and token.word in words:
            parts.append([])
        else:
            parts[-1].append(token)
    return [tuple(part) for part in parts]


def _value(operand: Operand, parameters: Parameters) -> object:
    """The value where the statement and its parameters show it; the text of an expression otherwise."""
    if len(operand) != 1:
        return {"sql": " ".join(str(_value((token,), parameters)) if token.kind == "parameter" else token.text for token in operand)}
    token = operand[0]
    if token.parameter is not None:
        return _parameter(token.parameter, parameters)
    if token.kind == "text":
        return token.text[1:-1].replace("''", "'") if token.text[0] == "'" else token.text
    if token.kind == "number":
        return float(token.text) if not token.text.isdigit() else int(token.text)
    return _CONSTANTS.get(token.word, {"sql": token.text})


def _parameter(at: int | str, parameters: Parameters) -> object:
    if isinstance(parameters, Mapping):
        return parameters.get(str(at))
    return parameters[at] if isinstance(at, int) and at < len(parameters) else None


def _text(tokens: Sequence[Token]) -> str:
    return " ".join(token.text if token.kind == "text" else token.text.lower() for token in tokens)

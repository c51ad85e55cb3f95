"""Syntax the running interpreter does not read, said in syntax that every Python from 3.11 on does.

For source that is newer (PEP 695 and 696 type parameters, 701 f-strings, 750 template strings, 758 `except` without parentheses, 810 lazy
imports) and for source that is older (`async` as a name, up to 3.6). Lines keep their numbers. What a type parameter or a lazy import
means is lost, as a scan asks for neither; a template string becomes an f-string.
"""

from __future__ import annotations

import ast
import re
import warnings
from dataclasses import dataclass

__all__ = ["lowered"]

_TOKEN = re.compile(
    r"(?P<space>(?:[ \t\f\r]|\\\r?\n)+)|(?P<comment>#[^\n]*)|(?P<newline>\n)"
    r"|(?P<string>(?P<prefix>[rRbBuUfFtT]{0,2})(?P<quote>\"\"\"|'''|\"|'))|(?P<name>\w+)|(?P<op>.)",
    re.DOTALL,
)
_CONVERSION = re.compile(r"\w+\s*([:}])")
_OPEN, _CLOSE = "([{", ")]}"
_MAX_NESTING = 12


class _Unreadable(Exception):
    """Not Python by this reader either."""


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    start: int
    end: int
    text: str
    depth: int
    """Brackets around it."""
    first: bool
    """Whether a statement begins with it."""


def lowered(text: str) -> str | None:
    """The same lines without what is newer; None where nothing was found to put otherwise."""
    try:
        tokens = _tokens(text)
        edits = [*_declarations(tokens), *_handlers(tokens), *_words(tokens), *_strings(tokens, text)]
    except _Unreadable:
        return None
    if not edits:
        return None
    pieces: list[str] = []
    at = 0
    for start, end, new in sorted(edits):
        if start < at:
            continue
        lost = text.count("\n", start, end) - new.count("\n")
        pieces += [text[at:start], new, "\\\n" * lost]
        at = end
    return "".join([*pieces, text[at:]])


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    at = depth = 0
    first = True
    while at < len(text):
        match = _TOKEN.match(text, at)
        assert match is not None
        kind, start = str(match.lastgroup if match["string"] is None else "string"), at
        at = _string_end(text, match) if kind == "string" else match.end()
        if kind == "newline":
            first = first or depth == 0
        if kind in ("space", "comment", "newline"):
            continue
        if match["op"] is not None and match["op"] in _CLOSE:
            depth = max(0, depth - 1)
        found.append(_Token(kind, start, at, text[start:at], depth, first))
        if match["op"] is not None and match["op"] in _OPEN:
            depth += 1
        first = depth == 0 and text[start:at] in (";", ":")
    return found


def _string_end(text: str, match: re.Match[str], nesting: int = 0) -> int:
    prefix, quote, at = match["prefix"].lower(), match["quote"], match.end()
    if nesting > _MAX_NESTING:
        raise _Unreadable
    formatted = "f" in prefix or "t" in prefix
    while at < len(text):
        if text.startswith(quote, at):
            return at + len(quote)
        if text[at] == "\\":
            at += 2
        elif formatted and text[at] == "{":
            at = at + 2 if text.startswith("{{", at) else _field_end(text, at + 1, quote, nesting + 1)
        elif text[at] == "\n" and len(quote) == 1:
            break
        else:
            at += 1
    raise _Unreadable


def _field_end(text: str, at: int, quote: str, nesting: int) -> int:
    """The end of a replacement field, past its brace."""
    expression_end, at = _expression_end(text, at, nesting)
    ended_by = text[expression_end]
    if ended_by == "!":
        conversion = _CONVERSION.match(text, at)
        if conversion is None:
            raise _Unreadable
        ended_by, at = conversion[1], conversion.end()
    if ended_by == ":":
        while at < len(text) and text[at] != "}":
            if text.startswith(quote, at):
                raise _Unreadable
            at = _field_end(text, at + 1, quote, nesting + 1) if text[at] == "{" and nesting < _MAX_NESTING else at + 1
        at += 1
    return at


def _expression_end(text: str, at: int, nesting: int) -> tuple[int, int]:
    """Where a field's expression ends, and where what ended it (`}`, `:`, `!`) does."""
    depth = 0
    while (match := _TOKEN.match(text, at)) is not None:
        if match["string"] is not None:
            at = _string_end(text, match, nesting)
            continue
        symbol = match["op"]
        if depth == 0 and symbol is not None and (symbol in "}:" or (symbol == "!" and not text.startswith("!=", at))):
            return at, match.end()
        if symbol is not None:
            depth += (symbol in _OPEN) - (symbol in _CLOSE)
            if symbol == "!" and text.startswith("!=", at):
                at += 1
        at = match.end() if symbol != "!" else at + 1
    raise _Unreadable


_Edit = tuple[int, int, str]


def _declarations(tokens: list[_Token]) -> list[_Edit]:
    """Type parameters, `type` statements and `lazy` imports, away."""
    edits: list[_Edit] = []
    for at, token in enumerate(tokens[:-2]):
        after, beyond = tokens[at + 1], tokens[at + 2]
        alias = token.first and token.text == "type" and after.kind == "name" and beyond.text in ("=", "[")
        if alias or (token.first and token.text == "lazy" and after.text in ("import", "from")):
            edits.append((token.start, after.start, ""))
        if (alias or token.text in ("def", "class")) and beyond.text == "[":
            closing = next((other for other in tokens[at + 3 :] if other.text == "]" and other.depth == beyond.depth), None)
            if closing is not None:
                edits.append((beyond.start, closing.end, ""))
    return edits


def _handlers(tokens: list[_Token]) -> list[_Edit]:
    """`except A, B:` with its parentheses."""
    edits: list[_Edit] = []
    for at, token in enumerate(tokens):
        if token.text != "except" or not token.first:
            continue
        end = next((index for index in range(at + 1, len(tokens)) if tokens[index].text == ":" and tokens[index].depth == token.depth), at)
        clause = [other for other in tokens[at + 1 : end] if other.text != "*"]
        if any(other.text == "," and other.depth == token.depth for other in clause) and all(other.text != "as" for other in clause):
            edits += [(clause[0].start, clause[0].start, "("), (clause[-1].end, clause[-1].end, ")")]
    return edits


def _words(tokens: list[_Token]) -> list[_Edit]:
    """`async` as a name, as it could be up to Python 3.6."""
    followers = [*(token.text for token in tokens[1:]), ""]
    return [
        (token.end, token.end, "_")
        for token, follower in zip(tokens, followers, strict=True)
        if token.text == "async" and follower not in ("def", "for", "with")
    ]


def _strings(tokens: list[_Token], text: str) -> list[_Edit]:
    return [
        (token.start, token.end, new)
        for token in tokens
        if token.kind == "string" and (new := _plainer(text[token.start : token.end])) is not None
    ]


def _plainer(string: str, nesting: int = 0) -> str | None:
    """A formatted string the interpreter reads; None where it reads this one."""
    match = _TOKEN.match(string)
    assert match is not None
    prefix = match["prefix"]
    if not set(prefix.lower()) & {"f", "t"} or _parses(string):
        return None
    as_f = prefix.lower().replace("t", "f") + string[len(prefix) :]
    if "t" in prefix.lower() and _parses(as_f):
        return as_f
    if nesting > _MAX_NESTING:
        raise _Unreadable
    return _joined(string, match, nesting)


def _parses(string: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(f"({string})", mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _joined(string: str, match: re.Match[str], nesting: int) -> str:
    """`"".join((...))` of the texts and the formatted values: what an f-string is short for."""
    prefix, quote = match["prefix"].lower().replace("f", "").replace("t", ""), match["quote"]
    parts: list[str] = []
    at = start = match.end()

    def literal(end: int) -> None:
        if end > start:
            parts.append(prefix + quote + string[start:end].replace("{{", "{").replace("}}", "}") + quote)

    while at < len(string) - len(quote):
        if string[at] == "\\":
            at += 2
        elif string[at] == "{" and not string.startswith("{{", at):
            literal(at)
            end = _field_end(string, at + 1, quote, 0)
            parts.append(_value(string[at + 1 : end], prefix, quote, nesting))
            at = start = end
        else:
            at += 2 if string.startswith(("{{", "}}"), at) else 1
    literal(len(string) - len(quote))
    return '"".join((' + "".join(f"{part}, " for part in parts) + "))"


def _value(field: str, prefix: str, quote: str, nesting: int) -> str:
    """`format(value, "spec")` of a replacement field given without its opening brace."""
    end, _ = _expression_end(field, 0, 0)
    expression = _inner(field[:end], nesting)
    bare = expression.rstrip()
    shown = ""
    if bare.endswith("=") and not bare.endswith(("==", "!=", "<=", ">=")):
        shown, expression = repr(expression.replace("\n", " ")) + " + ", bare[:-1]
    rest = field[end:-1]
    convert = {"r": "repr", "s": "str", "a": "ascii"}.get(rest[1:].partition(":")[0].strip(), "") if rest.startswith("!") else ""
    spec = rest.partition(":")[2]
    convert = convert or ("repr" if shown and not spec else "")
    value = f"{convert}({expression})" if convert else f"({expression})"
    if not spec:
        return f"{shown}{value if convert else f'format{value}'}"
    if "{" in spec:
        formatted = _plainer(f"{prefix}f{quote}{spec}{quote}", nesting + 1) or f"{prefix}f{quote}{spec}{quote}"
        return f"{shown}format({value}, {formatted})"
    return f"{shown}format({value}, {prefix}{quote}{spec}{quote})"


def _inner(expression: str, nesting: int) -> str:
    """The expression, with the formatted strings in it put plainer."""
    edits = [
        (token.start, token.end, new)
        for token in _tokens(expression)
        if token.kind == "string" and (new := _plainer(token.text, nesting + 1)) is not None
    ]
    for start, end, new in reversed(edits):
        expression = expression[:start] + new + expression[end:]
    return expression

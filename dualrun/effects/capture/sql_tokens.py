"""The words of an SQL text: enough of SQLite's and PostgreSQL's spelling to tell names, values and parameters apart."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

__all__ = ["Token", "Tokens", "group", "split", "split_once", "tokens_of", "until", "unwrapped"]

_CAST_TYPE = (
    r"""(?:"[^"]*"|\w+)(?:\.\w+)?(?:\s+(?:precision|varying)\b)?(?:\s*\(\s*\d+\s*(?:,\s*\d+\s*)?\))?"""
    r"""(?:\s+with(?:out)?\s+time\s+zone\b)?(?:\[\d*\])*"""
)
_TOKEN = re.compile(
    r"""(?P<space>\s+|--[^\n]*|/\*.*?\*/)
      | (?P<text>[eE]'(?:\\.|''|[^'\\])*'|'(?:''|[^'])*'|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
      | (?P<quoted>"(?:""|[^"])*"|`[^`]*`)
      | (?P<cast>::\s*"""
    + _CAST_TYPE
    + r""")
      | (?P<parameter>\?\d*|\$\d+|%\([^)]+\)[sbt]|%[sbt](?!\w)|[:@$][A-Za-z_]\w*)
      | (?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
      | (?P<word>[^\W\d]\w*)
      | (?P<sign><=|>=|<>|!=|\|\||.)""",
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)


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


Tokens = tuple[Token, ...]
_OPENING, _CLOSING = frozenset("(["), frozenset(")]")


def tokens_of(sql: str) -> Iterator[Token]:
    """The tokens of a text, without blanks, comments and casts. Never raises."""
    position = 0
    for found in _TOKEN.finditer(sql):
        kind, text = found.lastgroup or "", found.group()
        if kind in {"space", "cast"}:
            continue
        if kind != "parameter":
            yield Token("text" if kind == "tag" else kind, text)
            continue
        parameter, takes_place = _parameter(text, position)
        position += takes_place
        yield Token(kind, text, parameter)


def _parameter(text: str, position: int) -> tuple[int | str, bool]:
    if text == "?" or text in {"%s", "%b", "%t"}:
        return position, True
    if text.startswith("%("):
        return text[2:-2], False
    return (int(text[1:]) - 1, False) if text[1:].isdigit() else (text[1:], False)


def group(body: Sequence[Token]) -> tuple[Sequence[Token], Sequence[Token]]:
    """What stands between the parenthesis that opens here and the one that closes it, and what follows."""
    depth = 0
    for i, token in enumerate(body):
        depth += (token.text in _OPENING) - (token.text in _CLOSING)
        if depth == 0:
            return body[1:i], body[i + 1 :]
    return body[1:], ()


def until(body: Sequence[Token], words: frozenset[str]) -> tuple[Sequence[Token], Sequence[Token]]:
    """What stands before the first of the words outside of parentheses, and the rest from that word on."""
    depth = 0
    for i, token in enumerate(body):
        depth += (token.text in _OPENING) - (token.text in _CLOSING)
        if depth == 0 and token.word in words:
            return body[:i], body[i:]
    return body, ()


def split(body: Sequence[Token], word: str) -> list[Tokens]:
    """The parts between the occurrences of the word outside of parentheses."""
    parts: list[list[Token]] = [[]]
    depth = 0
    for token in body:
        depth += (token.text in _OPENING) - (token.text in _CLOSING)
        if depth == 0 and token.word == word:
            parts.append([])
        else:
            parts[-1].append(token)
    return [tuple(part) for part in parts]


def split_once(body: Sequence[Token], word: str) -> tuple[Tokens, Tokens]:
    """What stands before the first occurrence of the word, wherever it is, and what comes after; nothing if there is none."""
    at = next((i for i, token in enumerate(body) if token.word == word), None)
    return (tuple(body), ()) if at is None else (tuple(body[:at]), tuple(body[at + 1 :]))


def unwrapped(body: Sequence[Token]) -> Sequence[Token]:
    """Without the parentheses that stand around all of it."""
    while len(body) > 1 and body[0].text == "(":
        inner, rest = group(body)
        if rest:
            break
        body = inner
    return body

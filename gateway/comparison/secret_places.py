"""Where secrets stand: in members with the name of one, beside that name in a text, in the userinfo of an address, in SQL."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial

from gateway.comparison.rules import RedactionRules, path_pattern

__all__ = ["BY_NAME", "PATTERNS", "Wanted", "wanted_by"]

_NAMES = frozenset(
    {
        "accesstoken",
        "apikey",
        "authorization",
        "authtoken",
        "cardnumber",
        "clientsecret",
        "cookie",
        "credentials",
        "csrftoken",
        "cvc",
        "cvv",
        "idtoken",
        "passwd",
        "password",
        "privatekey",
        "proxyauthorization",
        "pwd",
        "refreshtoken",
        "secret",
        "sessionid",
        "setcookie",
        "token",
        "xapikey",
        "xcsrftoken",
    }
)
"""Without case, `-` and `_`; of a dotted name (`http.request.header.authorization`) the last part."""
_STEMS = ("pass", "token", "secret", "key", "auth", "cookie", "session", "credential", "pwd", "card", "cvc", "cvv")
"""One of them is in each of the names however it is spelled: a text without any is not read for names."""
_SQUEEZED = str.maketrans("", "", "-_ ")
# `name=x`, `name: x`, `"name": "x"`, `'name': 'x'`, `\"name\": \"x\"`, `name = 'x'`, `(name)=(x)`; a stand-in, `<secret:...>`, is no name.
_NAME = re.compile(r"""(?<![\w.\-<])([A-Za-z_][\w.\-]{0,39}+)(?:\\{0,3}["']|\))?\s{0,2}(?::|={1,2})\s{0,2}\(?""")
_VALUE = re.compile(
    r"""(\\{1,3})(["']).{0,1024}?\1\2|[bu]?"(?:[^"\\]|\\.)*+"?|[bu]?'(?:[^'\\]|\\.|'')*+'?"""
    r"""|(?:(?:[Bb]earer|[Bb]asic|[Tt]oken|[Dd]igest) )?[^\s&;#"'<>]+""",
    re.DOTALL,
)
_IN_QUOTES = re.compile(r"""([bu]?)(\\{0,3})(["'])(.*?)(\2\3|\3|)""", re.DOTALL)
_CLOSING = ",)}]"
_IS_NO_SECRET = re.compile(r"[^0-9A-Za-z]*|%s|%\(\w+\)s|\$\d+|:\w+|none|null", re.IGNORECASE)
_USERINFO = re.compile(r"""(?P<head>://[^\s/:@?#]{0,100}:)(?P<value>[^\s/?#"'<>]{1,500})(?=@)""")
_SQL_KEY = re.compile(r"(?P<head> (?P<name>\w+)=)(?P<value>.*?)(?= \w+=|\Z)", re.DOTALL)
_SQL_LITERAL = re.compile(r"'((?:[^']|'')*+)'?")
_SQL_WORD = re.compile(r"[A-Za-z_][\w-]*+")
_STATEMENTS = frozenset({"db.statement", "db.query.text", "db.statement.parameters"})
_PARAMETER = "db.query.parameter."

PATTERNS: Mapping[str, re.Pattern[str]] = {
    # As long as addresses are (RFC 5321), or a text without an `@` would be read again from each of its characters.
    "email": re.compile(r"[^\s@/:,;<>\"'()]{1,64}@[^\s@/:,;<>\"'()]{1,255}\.[A-Za-z]{2,63}"),
    "card": re.compile(r"(?<![\d-])\d(?:[ -]?\d){12,18}(?![\d-])"),
    "token": re.compile(
        r"(?<![\w-])eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*|\b(?:sk|pk|rk)_(?:live|test)_\w{8,}|\bgh[pousr]_\w{20,}|\bAKIA[A-Z0-9]{16}\b|\bxox[abpr]-[\w-]{10,}"
        r"|(?<=Bearer )[\w.~+/=-]{8,}"
    ),
}
"""What a rule file may ask for by name, wherever it stands."""

Hide = Callable[[str, str], str]
"""A secret and the label of what stands for it, to what stands for it."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is redacted of one task's records."""

    names: frozenset[str]
    paths: tuple[re.Pattern[str], ...] = ()
    patterns: tuple[str, ...] = ()
    stems: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        # A name is written with `-` or `_` between its words, hardly within the last three letters.
        object.__setattr__(self, "stems", (*_STEMS, *sorted({name[-3:] for name in self.names - _NAMES})))

    def hides(self, path: str, name: str) -> bool:
        return _squeezed(name) in self.names or any(pattern.match(path) for pattern in self.paths)

    def names_one(self, name: str) -> bool:
        return _squeezed(name) in self.names

    def in_text(self, text: str, hide: Hide) -> str:
        """The text without the secrets in it."""
        if ("=" in text or ":" in text) and self._may_name(text):
            text = self._without_named(text, hide)
        if "://" in text and "@" in text:
            text = _USERINFO.sub(lambda match: match["head"] + hide(match["value"], "secret"), text)
        for label in self.patterns:
            text = PATTERNS[label].sub(partial(_found, label, hide), text)
        return text

    def in_sql_key(self, key: str, hide: Hide) -> str:
        """The key of an SQL effect, `DELETE tokens token=...`; its values are not quoted and may hold spaces."""
        if "=" not in key or not self._may_name(key):
            return key
        return _SQL_KEY.sub(lambda one: one["head"] + hide(one["value"], "secret") if self.names_one(one["name"]) else one[0], key)

    def in_sql(self, text: str, hide: Hide) -> str:
        """A condition or statement without its literals, if it names a secret: which of them it is takes a parser."""
        named = self._may_name(text) and any(map(self.names_one, _SQL_WORD.findall(text)))
        return _without_literals(text, hide) if named else text

    def in_span(self, name: str, text: str, hide: Hide) -> str | None:
        """A statement's text without its literals; a parameter's stand-in. None for any other attribute."""
        if name in _STATEMENTS:
            return _without_literals(text, hide)
        return hide(text, "secret") if name.startswith(_PARAMETER) else None

    def _may_name(self, text: str) -> bool:
        lower = text.lower()
        return any(stem in lower for stem in self.stems)

    def _without_named(self, text: str, hide: Hide) -> str:
        parts: list[str] = []
        end = 0
        for head in _NAME.finditer(text):
            if head.start() < end or not self.names_one(head[1]):
                continue
            value = _VALUE.match(text, head.end())
            if value is None:
                continue
            quoted = _IN_QUOTES.fullmatch(value[0])
            if quoted is not None:
                start, stop = value.start() + quoted.start(4), value.start() + quoted.end(4)
            else:
                start, stop = value.start(), value.start() + len(value[0].rstrip(_CLOSING))
            if not _IS_NO_SECRET.fullmatch(text, start, stop):
                parts += (text[end:start], hide(text[start:stop], "secret"))
                end = stop
        return "".join((*parts, text[end:])) if parts else text


@lru_cache(maxsize=1024)
def wanted_by(rules: RedactionRules, *, by_rules_alone: bool = False) -> Wanted:
    """What the rules of a task ask for, and the names everybody's secrets have."""
    names = frozenset(map(_squeezed, rules.names))
    return Wanted(names if by_rules_alone else _NAMES | names, tuple(map(path_pattern, rules.paths)), rules.patterns)


BY_NAME = Wanted(_NAMES)


@lru_cache(maxsize=16384)
def _squeezed(name: str) -> str:
    return name.rpartition(".")[2].translate(_SQUEEZED).lower()


def _without_literals(text: str, hide: Hide) -> str:
    return _SQL_LITERAL.sub(lambda match: f"'{hide(match[1], 'secret')}'" if match[1] else match[0], text)


def _found(label: str, hide: Hide, match: re.Match[str]) -> str:
    return match[0] if label == "card" and not _is_card(match[0]) else hide(match[0], label)


def _is_card(text: str) -> bool:
    """Whether the last digit proves the others (Luhn): what does not is an order number."""
    digits = [int(one) for one in reversed(text) if one.isdigit()]
    doubled = (sum(divmod(2 * one, 10)) for one in digits[1::2])
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0

"""How exchanges choose queues, as RabbitMQ does it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from dualrun.broker.port import Binding, ExchangeKind, HeaderValue

__all__ = ["Router", "headers_match", "topic_matches"]

_REMEMBERED_KEYS = 4096


def topic_matches(pattern: str, routing_key: str) -> bool:
    """Whether a topic binding takes a key: `*` is one word, `#` any number of words, none included."""
    return _words_match(_words(pattern), _words(routing_key))


def _words(text: str) -> tuple[str, ...]:
    # An empty key has no words, while "a..b" has an empty one in the middle.
    return tuple(text.split(".")) if text else ()


def _words_match(pattern: Sequence[str], words: Sequence[str]) -> bool:
    """Which prefixes of `words` the pattern so far can have taken, word by word of the pattern: never exponential."""
    reached = {0}
    for part in pattern:
        if part == "#":
            reached = set(range(min(reached), len(words) + 1))
        else:
            reached = {at + 1 for at in reached if at < len(words) and part in ("*", words[at])}
        if not reached:
            return False
    return len(words) in reached


def headers_match(arguments: Mapping[str, HeaderValue], headers: Mapping[str, HeaderValue]) -> bool:
    """Whether a headers binding takes a message: all of its arguments, or any with `x-match: any`. None asks for presence only.

    Arguments that begin with `x-` do not count, unless `x-match` ends in `-with-x`.
    """
    how = arguments.get("x-match", "all")
    with_x = isinstance(how, str) and how.endswith("-with-x")
    wanted = {key: value for key, value in arguments.items() if key != "x-match" and (with_x or not key.startswith("x-"))}
    hits = (key in headers and (value is None or headers[key] == value) for key, value in wanted.items())
    return any(hits) if how in ("any", "any-with-x") else all(hits)


class Router:
    """The bindings of one exchange."""

    def __init__(self, kind: ExchangeKind) -> None:
        self.kind = kind
        self._bindings: list[Binding] = []
        self._known: dict[str, tuple[str, ...]] = {}

    def bind(self, binding: Binding) -> None:
        """Add a binding, once."""
        if binding not in self._bindings:
            self._bindings.append(binding)
            self._known.clear()

    def queues(self, routing_key: str, headers: Mapping[str, HeaderValue]) -> tuple[str, ...]:
        """Names of the queues that take a message, each once."""
        if self.kind is ExchangeKind.HEADERS:
            return _once(binding.queue for binding in self._bindings if headers_match(binding.arguments, headers))
        known = self._known.get(routing_key)
        if known is None:
            if len(self._known) >= _REMEMBERED_KEYS:
                self._known.clear()
            known = self._known[routing_key] = _once(
                binding.queue for binding in self._bindings if self._takes(binding.pattern, routing_key)
            )
        return known

    def _takes(self, pattern: str, routing_key: str) -> bool:
        match self.kind:
            case ExchangeKind.FANOUT:
                return True
            case ExchangeKind.TOPIC:
                return topic_matches(pattern, routing_key)
            case _:
                return pattern == routing_key


def _once(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))

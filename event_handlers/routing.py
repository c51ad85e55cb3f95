"""Which events reach a queue, in the terms of RabbitMQ's exchanges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from dualrun.broker import Binding, Exchange, ExchangeKind, HeaderValue
from dualrun.errors import ConfigurationError

__all__ = ["HeadersMatch", "Route", "binding_of"]


@dataclass(frozen=True, slots=True)
class HeadersMatch:
    """Events whose headers have all of these values, or with `any_of` at least one. None asks for presence only.

    An event's own headers count (`publish(headers=...)`), and its attributes under their names on the wire, `cloudEvents:subject`.
    """

    headers: Mapping[str, HeaderValue]
    any_of: bool = False


Route: TypeAlias = "str | HeadersMatch"
"""On a topic exchange a pattern (`*` one word, `#` any number), on a direct one the very type, on a fanout exchange nothing that counts;
on a headers exchange what the headers have to be."""


def binding_of(exchange: Exchange, queue: str, route: Route) -> Binding:
    """Raises `ConfigurationError` for a route that the kind of exchange does not know: RabbitMQ would take it and bind something else."""
    if isinstance(route, HeadersMatch) is not (exchange.kind is ExchangeKind.HEADERS):
        wanted = "HeadersMatch(...)" if exchange.kind is ExchangeKind.HEADERS else "a text"
        raise ConfigurationError(f"exchange {exchange.name!r} is of kind {exchange.kind.value}: {route!r} should be {wanted}")
    if isinstance(route, HeadersMatch):
        return Binding(exchange.name, queue, "", {"x-match": "any" if route.any_of else "all", **route.headers})
    return Binding(exchange.name, queue, route)

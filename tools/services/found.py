"""What a search for a service ends with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

__all__ = ["Found", "NotFound", "Service"]


@dataclass(frozen=True, slots=True)
class Service:
    """A server the tests need."""

    name: str
    url_variable: str
    default_port: int
    debian_package: str


@dataclass(frozen=True, slots=True)
class Found:
    """A usable server: how the tests reach it, where it came from, and how to stop it if it was started here."""

    env: Mapping[str, str]
    how: str
    stop: Callable[[], None] = field(default=lambda: None)


@dataclass(frozen=True, slots=True)
class NotFound:
    """This way did not lead to a server."""

    why: str

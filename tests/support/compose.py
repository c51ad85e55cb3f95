"""`docker-compose.yml` as its reader sees it: merged, with variables filled in."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import yaml

from tests.support.processes import REPOSITORY

__all__ = ["COMPOSE_FILE", "ENV_EXAMPLE", "Service", "dotenv", "drawn_secrets", "interpolate", "raw_document", "services", "variables_of"]

COMPOSE_FILE = REPOSITORY / "docker-compose.yml"
ENV_EXAMPLE = REPOSITORY / "config" / ".env.example"

Document: TypeAlias = "dict[str, Document] | list[Document] | str | int | float | bool | None"
_VARIABLE = re.compile(r"\$(?:\$|\{(?P<name>\w+)(?:(?P<operator>:?[-?])(?P<word>[^}]*))?\})")


@dataclass(frozen=True, slots=True)
class Service:
    """One service, with its command and its health check as they would run."""

    name: str
    image: str
    command: tuple[str, ...]
    healthcheck: tuple[str, ...]
    environment: Mapping[str, str]
    ports: tuple[str, ...]
    volumes: tuple[str, ...]
    profiles: tuple[str, ...]
    built_from: str | None


def raw_document() -> dict[str, Document]:
    """The file with merges applied and no variable filled in."""
    document: dict[str, Document] = yaml.safe_load(COMPOSE_FILE.read_text())
    return document


def services(variables: Mapping[str, str]) -> dict[str, Service]:
    """Every service by name. Raises KeyError with the message of a `${NAME:?message}` that is not set."""
    stack = _mapping(_filled_in(raw_document()["services"], variables))
    return {name: _service(name, _mapping(body)) for name, body in stack.items()}


def interpolate(text: str, variables: Mapping[str, str]) -> str:
    """Compose's own substitution: `${A}`, `${A:-default}`, `${A:?message}` and `$$`."""

    def value(found: re.Match[str]) -> str:
        if found["name"] is None:
            return "$"
        given = variables.get(found["name"], "")
        if given or found["operator"] is None:
            return given
        if found["operator"] == ":-":
            return found["word"]
        raise KeyError(f"{found['name']}: {found['word']}")

    return _VARIABLE.sub(value, text)


def variables_of(text: str) -> set[str]:
    """Names of the variables a text is filled in with."""
    return {found["name"] for found in _VARIABLE.finditer(text) if found["name"]}


def dotenv(path: Path) -> dict[str, str]:
    """The settings of an environment file that are not commented out."""
    lines = (line for line in path.read_text().splitlines() if line and not line.startswith("#"))
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def drawn_secrets() -> dict[str, str]:
    """What `make up` draws, with values a test can write down."""
    drawn = {"_PASSWORD": "secret", "_TOKEN": "0123456789abcdef0123456789abcdef"}
    return {name: value for name in dotenv(ENV_EXAMPLE) for kind, value in drawn.items() if name.endswith(kind)}


def _filled_in(value: Document, variables: Mapping[str, str]) -> Document:
    # After parsing, as Compose does it: a value with a colon in it does not become a mapping.
    if isinstance(value, dict):
        return {key: _filled_in(entry, variables) for key, entry in value.items()}
    if isinstance(value, list):
        return [_filled_in(entry, variables) for entry in value]
    return interpolate(value, variables) if isinstance(value, str) else value


def _service(name: str, body: Mapping[str, object]) -> Service:
    build = _mapping(body.get("build"))
    return Service(
        name=name,
        image=str(body["image"]),
        command=_words(body.get("command")),
        healthcheck=_words(_mapping(body.get("healthcheck")).get("test")),
        environment={key: str(value) for key, value in _mapping(body.get("environment")).items()},
        ports=_words(body.get("ports")),
        volumes=_words(body.get("volumes")),
        profiles=_words(body.get("profiles")),
        built_from=str(build["target"]) if build else None,
    )


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _words(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(shlex.split(value))
    return tuple(str(word) for word in value) if isinstance(value, list) else ()

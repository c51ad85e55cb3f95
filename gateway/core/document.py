"""YAML read with its positions, so that whoever wrote the file hears what is wrong in which line. Pure: text in, nodes out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime
from difflib import get_close_matches
from enum import StrEnum
from math import isfinite
from typing import TypeVar

import yaml

__all__ = ["DocumentFlaw", "DocumentNode", "read_document"]

_MAX_SHOWN = 80
_Choice = TypeVar("_Choice", bound=StrEnum)


class DocumentFlaw(Exception):
    """What is wrong with a document, and where: lines and columns count from 1. For whoever knows the file's name to translate."""

    def __init__(self, line: int, column: int, reason: str, pointer: str = "") -> None:
        super().__init__(f"{line}:{column}: {reason}")
        self.line = line
        self.column = column
        self.reason = reason
        self.pointer = pointer


class DocumentNode:
    """One value of a document. Every method raises `DocumentFlaw` where the value is not what is asked for."""

    __slots__ = ("_node", "pointer")

    def __init__(self, node: yaml.Node, pointer: str) -> None:
        self._node = node
        self.pointer = pointer

    def flaw(self, reason: str) -> DocumentFlaw:
        mark = self._node.start_mark
        return DocumentFlaw(mark.line + 1, mark.column + 1, reason, self.pointer)

    @property
    def is_mapping(self) -> bool:
        return isinstance(self._node, yaml.MappingNode)

    def mapping(self, known: Collection[str] | None = None) -> Mapping[str, DocumentNode]:
        """The members. With `known`, another key is a flaw that names the nearest of them."""
        if not isinstance(self._node, yaml.MappingNode):
            raise self.flaw(f"should be a mapping, is {_described(self._node)}")
        members: dict[str, DocumentNode] = {}
        for key_node, value_node in self._node.value:
            key = DocumentNode(key_node, self.pointer).text()
            member = DocumentNode(value_node, f"{self.pointer}/{key.replace('~', '~0').replace('/', '~1')}")
            at_key = DocumentNode(key_node, member.pointer)
            if key in members:
                raise at_key.flaw(f"key {key!r} stands here twice")
            if known is not None and key not in known:
                raise at_key.flaw(f"unknown key {key!r}; {_nearest(key, known)}")
            members[key] = member
        return members

    def sequence(self) -> Sequence[DocumentNode]:
        if not isinstance(self._node, yaml.SequenceNode):
            raise self.flaw(f"should be a list, is {_described(self._node)}")
        return [DocumentNode(item, f"{self.pointer}/{n}") for n, item in enumerate(self._node.value)]

    def text(self) -> str:
        """A text that is not empty."""
        value = self._scalar()
        if not isinstance(value, str) or not value.strip():
            raise self.flaw(f"should be a text, is {_described(self._node)}")
        return value

    def number(self) -> float:
        """A finite number."""
        value = self._scalar()
        if isinstance(value, str) and isinstance(self._node, yaml.ScalarNode) and self._node.style is None:
            # YAML 1.1 takes 1e-6 for a text: it wants 1.0e-6.
            with suppress(ValueError):
                value = float(value)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or (isinstance(value, float) and not isfinite(value)):
            raise self.flaw(f"should be a number, is {_described(self._node)}")
        return value

    def integer(self) -> int:
        value = self._scalar()
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.flaw(f"should be a whole number, is {_described(self._node)}")
        return value

    def boolean(self) -> bool:
        value = self._scalar()
        if not isinstance(value, bool):
            raise self.flaw(f"should be true or false, is {_described(self._node)}")
        return value

    def day(self) -> date:
        value = self._scalar()
        if not isinstance(value, date) or isinstance(value, datetime):
            raise self.flaw(f"should be a date (2026-12-31), is {_described(self._node)}")
        return value

    def scalars(self) -> str | int | float | bool | None | tuple[str | int | float | bool | None, ...]:
        """One JSON value that is no object, or a list of them."""
        if isinstance(self._node, yaml.SequenceNode):
            return tuple(item.scalar() for item in self.sequence())
        return self.scalar()

    def scalar(self) -> str | int | float | bool | None:
        """One JSON value that is neither a list nor an object."""
        value = self._scalar()
        if isinstance(value, float) and not isfinite(value):
            raise self.flaw(f"should be a number, is {_described(self._node)}")
        if value is None or isinstance(value, (str, int, float, bool)):
            return value
        raise self.flaw(f"should be a text, a number, true or false, is {_described(self._node)}; quote it")

    def choice(self, choices: type[_Choice]) -> _Choice:
        value = self._scalar()
        try:
            return choices(str(value))
        except ValueError:
            names = [choice.value for choice in choices]
            raise self.flaw(f"should be one of {', '.join(names)}, is {_described(self._node)}") from None

    def _scalar(self) -> object:
        if not isinstance(self._node, yaml.ScalarNode):
            raise self.flaw(f"should be one value, is {_described(self._node)}")
        try:
            value: object = yaml.constructor.SafeConstructor().construct_object(self._node)
        except (yaml.YAMLError, ValueError, OverflowError) as exc:
            raise self.flaw(f"cannot be read: {exc}") from exc
        return value


def read_document(text: str) -> DocumentNode:
    """The one document of a YAML text. Raises `DocumentFlaw`."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
        raise DocumentFlaw(line, column, f"is not YAML: {exc.problem or exc.context}") from exc
    except yaml.YAMLError as exc:
        raise DocumentFlaw(1, 1, f"is not YAML: {str(exc).splitlines()[0]}") from exc
    except RecursionError as exc:
        raise DocumentFlaw(1, 1, "is nested too deeply") from exc
    if node is None:
        raise DocumentFlaw(1, 1, "is empty")
    return DocumentNode(node, "")


def _described(node: yaml.Node) -> str:
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    text = str(node.value)
    return repr(text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}...") if text else "empty"


def _nearest(key: str, known: Collection[str]) -> str:
    close = get_close_matches(key, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known are {', '.join(sorted(known))}"

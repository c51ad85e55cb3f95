"""Changing source text where its syntax tree says, so that comments, layout and everything not meant stay as they were."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

__all__ = ["Edits", "lines_inside_strings"]


@dataclass(slots=True)
class Edits:
    """Replacements in one text, applied together."""

    text: str
    _starts: list[int] = field(default_factory=list)
    _changes: list[tuple[int, int, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._starts = [0]
        for line in self.text.split("\n"):
            self._starts.append(self._starts[-1] + len(line) + 1)

    def at(self, line: int, column: int) -> int:
        """The character of a position as syntax trees count: lines from 1, columns in bytes of UTF-8."""
        start = self._starts[line - 1]
        text = self.text[start : self._starts[line] - 1]
        return start + (column if text.isascii() else len(text.encode()[:column].decode(errors="ignore")))

    def span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        """Where a node's text begins and ends."""
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self.at(node.lineno, node.col_offset), self.at(node.end_lineno, node.end_col_offset)

    def of(self, node: ast.expr | ast.stmt) -> str:
        """A node's text as it will be, with the changes inside it."""
        return self.between(*self.span(node))

    def replace(self, node: ast.expr | ast.stmt, new: str) -> None:
        """Put `new` where the node stands. Changes inside it are dropped; what was put around it stays."""
        start, end = self.span(node)
        around = ((start, start), (end, end))
        self._changes = [change for change in self._changes if change[:2] in around or not (start <= change[0] and change[1] <= end)]
        self._changes.append((start, end, new))

    def before(self, node: ast.expr, text: str) -> None:
        """Put text in front of a node, whatever becomes of the node itself."""
        start, _ = self.span(node)
        self._changes.append((start, start, text))

    def after(self, node: ast.expr, text: str) -> None:
        """Put text behind a node."""
        _, end = self.span(node)
        self._changes.append((end, end, text))

    def between(self, start: int, end: int) -> str:
        """The text of a stretch, changed."""
        pieces: list[str] = []
        at = start
        for first, last, new in sorted(self._changes):
            if first >= at and last <= end:
                pieces += [self.text[at:first], new]
                at = last
        return "".join([*pieces, self.text[at:end]])

    def body(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
        """A function's body, indented by four spaces; what stands in strings over several lines is not moved."""
        first, last = node.body[0], node.body[-1]
        assert last.end_lineno is not None
        top = min([first.lineno, *(decorator.lineno for decorator in getattr(first, "decorator_list", []))])
        start = self._starts[top - 1]
        lead = self._line(top)
        indent = len(lead) - len(lead.lstrip(" \t"))
        if top == first.lineno and lead[:indent].strip() != lead[: self.at(top, first.col_offset) - start].strip():
            # `def f(): return 1`: the body stands on the line of its function.
            return "    " + self.between(self.span(first)[0], self.span(last)[1]) + "\n"
        top = self._comments_above(top, node.lineno)
        return self._shifted(top, last.end_lineno, indent, lines_inside_strings(node)) + "\n"

    def _comments_above(self, top: int, header: int) -> int:
        while top - 1 > header and self._line(top - 1).lstrip().startswith("#"):
            top -= 1
        return top

    def _line(self, number: int) -> str:
        return self.text[self._starts[number - 1] : self._starts[number] - 1]

    def _shifted(self, top: int, bottom: int, indent: int, inside: set[int]) -> str:
        """Lines with four spaces where `indent` characters were."""
        moved = Edits(self.text)
        moved._changes = list(self._changes)
        for number in range(top, bottom + 1):
            start, line = self._starts[number - 1], self._line(number)
            replaced = any(first < start < last for first, last, _ in self._changes)
            if line.strip() and number not in inside and not replaced:
                moved._changes.append((start, start + min(indent, len(line) - len(line.lstrip(" \t"))), "    "))
        return moved.between(self._starts[top - 1], self._starts[bottom] - 1)


def lines_inside_strings(node: ast.AST) -> set[int]:
    """Lines that begin inside a string: their leading blanks are its content."""
    return {
        line
        for part in ast.walk(node)
        if isinstance(part, ast.JoinedStr) or (isinstance(part, ast.Constant) and isinstance(part.value, str | bytes))
        for line in range(part.lineno + 1, (part.end_lineno or part.lineno) + 1)
    }

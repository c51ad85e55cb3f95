"""How commands print: JSON and YAML for programs; for people tables, with colour on a terminal and plain when piped."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from dualrun.contracts import JsonValue

__all__ = ["Format", "moment", "print_json", "print_members", "print_table", "print_yaml", "progress_bar", "show"]


class Format(StrEnum):
    """How a command prints."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


_STYLES: Mapping[str, str] = {
    word: style
    for style, words in {
        "green": ("fine", "ready", "equal", "same", "proven", "pass", "passed", "succeeded", "fixed", "alive", "matches", "promote"),
        "yellow": ("watch", "late", "missing", "incomplete", "unproven", "hold", "known", "unsafe", "waiting", "no data"),
        "bold red": ("blocked", "differs", "different", "failed", "fail", "roll back", "rollback", "reopened", "lost"),
        "cyan": ("shadow", "canary", "mirror"),
    }.items()
    for word in words
}


def show(value: JsonValue, format: Format, table: Callable[[], None]) -> None:
    """One document for programs, or what `table` prints for people."""
    match format:
        case Format.JSON:
            print_json(value)
        case Format.YAML:
            print_yaml(value)
        case Format.TABLE:
            table()


def print_json(value: JsonValue) -> None:
    """One JSON document on stdout."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def print_yaml(value: JsonValue) -> None:
    """One YAML document on stdout."""
    import yaml

    print(yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=120), end="")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table: fitted to a terminal, or whole lines where something else reads them. The head stays away where no column has a name."""
    console = Console(highlight=False)
    shown = [[_text(cell) for cell in row] for row in rows]
    if not console.is_terminal:
        return _print_plain([list(columns), *shown] if any(columns) else shown)
    table = Table(box=None, header_style="bold", pad_edge=False, show_header=any(columns))
    # What a line is about is read, and copied, in one piece; where it leaves no room for the rest it is folded as that is.
    fits = max((len(row[0]) for row in shown), default=0) <= console.width // 2
    for at, column in enumerate(columns):
        table.add_column(column, no_wrap=fits and at == 0, overflow="fold")
    for row in shown:
        table.add_row(*(_styled(cell) for cell in row))
    return console.print(table)


def moment(text: str) -> str:
    """An instant to the second, in UTC, without what a reader of a table does not look at."""
    return f"{text[:10]} {text[11:19]}Z"


def print_members(view: Mapping[str, JsonValue]) -> None:
    """The members of one thing, a line each."""
    print_table(("", ""), [(name, json.dumps(value) if isinstance(value, (list, dict)) else value) for name, value in view.items()])


def progress_bar() -> Progress:
    """A bar on stderr while somebody looks on; nothing where it is not a terminal."""
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def _text(cell: object) -> str:
    return "" if cell is None else str(cell)


def _styled(cell: str) -> Text:
    return Text(cell, style=_STYLES.get(cell, ""))


def _print_plain(rows: Sequence[Sequence[str]]) -> None:
    """Columns two blanks apart, however long their lines get: what reads a pipe has no width."""
    wide = max((len(row) for row in rows), default=0)
    widths = [max((len(row[at]) for row in rows if at < len(row)), default=0) for at in range(wide)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip())

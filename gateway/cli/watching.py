"""Staying with something as it changes: a screen drawn anew on a terminal, what changed one after another when piped."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TypeVar

import typer

from gateway.cli.exit_code import ExitCode
from gateway.cli.refusal import Refused

__all__ = ["watched"]

T = TypeVar("T")


def watched(read: Callable[[], T], show: Callable[[T], None], *, interval_s: float, is_over: Callable[[T], bool] = lambda _: False) -> T:
    """Show what `read` gives, and again whenever it differs, until it is over or somebody presses Ctrl-C; what was seen last.

    A gateway that goes away meanwhile is waited for, and that is said once. Raises `Refused` where the first look fails.
    """
    seen = read()
    _draw(seen, show, first=True)
    is_away = False
    try:
        while not is_over(seen):
            time.sleep(interval_s)
            try:
                present = read()
            except Refused as exc:
                if exc.exit_code != ExitCode.AWAY:
                    raise
                if not is_away:
                    typer.secho(f"dualrun: {exc}\n  Still watching.", fg="yellow", err=True)
                is_away = True
                continue
            is_away = False
            if present != seen:
                _draw(present, show, first=False)
            seen = present
    except KeyboardInterrupt:
        typer.echo(err=True)
    return seen


def _draw(seen: T, show: Callable[[T], None], *, first: bool) -> None:
    if sys.stdout.isatty():
        typer.echo("\x1b[H\x1b[2J", nl=False)
    elif not first:
        typer.echo()
    show(seen)
    sys.stdout.flush()

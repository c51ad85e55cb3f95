"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

from gateway.cli.output import Format

__all__ = ["ForceOption", "FormatOption", "IntervalOption", "ReasonOption", "WatchOption", "check_reason"]

FormatOption: TypeAlias = Annotated[Format, typer.Option("--format", help="table for people, json or yaml for programs.")]
ForceOption: TypeAlias = Annotated[bool, typer.Option("--force", help="Past a gate without evidence; say why with --reason.")]
ReasonOption: TypeAlias = Annotated[str, typer.Option(help="Why; kept with the change.", show_default=False)]
WatchOption: TypeAlias = Annotated[bool, typer.Option("--watch", help="Stay, and show it again as it changes.")]
IntervalOption: TypeAlias = Annotated[float, typer.Option("--interval", min=0.1, help="Seconds between two looks of --watch.")]


def check_reason(force: bool, reason: str) -> None:
    """Raises `typer.BadParameter` where something is forced and nobody says why."""
    if force and not reason.strip():
        raise typer.BadParameter("going on without evidence needs a reason", param_hint="--reason")

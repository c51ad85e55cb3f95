"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

from gateway.cli.output import Format

__all__ = ["DEFAULT_URL", "FormatOption", "UrlOption"]

UrlOption: TypeAlias = Annotated[str, typer.Option("--url", envvar="DUALRUN_GATEWAY_URL", help="The gateway to talk to.")]
FormatOption: TypeAlias = Annotated[Format, typer.Option("--format", help="table for people, json for programs.")]
DEFAULT_URL = "http://127.0.0.1:8080"

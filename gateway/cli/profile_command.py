"""`dualrun profiles`: the gateways a user has named."""

from __future__ import annotations

import os

import typer

from dualrun.contracts import JsonValue
from gateway.cli.option import FormatOption
from gateway.cli.output import Format, print_table, show
from gateway.cli.profile import choose, config_file, read_profiles
from gateway.cli.refusal import Refused, fail

__all__ = ["profiles"]

_COLUMNS = ("profile", "gateway", "token", "")
_EXAMPLE = """[profiles.production]
url = "https://dualrun.example.org"
token_file = "~/.config/dualrun/production.token"
"""


def profiles(format: FormatOption = Format.TABLE) -> None:
    """Show the gateways you have named, and which one commands speak to here.

    They are in the file this prints, `[profiles.NAME]` with `url`, and `token_file` or `token`; `default = "NAME"` on top makes one the
    rule. `--profile` and `--url` choose for one command, DUALRUN_PROFILE and DUALRUN_GATEWAY_URL for a shell. A token is read from a file
    or from DUALRUN_TOKEN, never from the command line, where every process can see it.

    Example: dualrun profiles
    """
    file = config_file(os.environ)
    try:
        found, here = read_profiles(file), choose(None, None)
    except Refused as exc:
        raise fail(exc) from exc
    lines: list[JsonValue] = [
        {"profile": name, "url": profile.url, "has_token": bool(profile.token or profile.token_file), "in_use": name == here.profile}
        for name, profile in sorted(found.profiles.items())
    ]

    def table() -> None:
        rows = [
            (name, profile.url, "yes" if profile.token or profile.token_file else "no", "in use" if name == here.profile else "")
            for name, profile in sorted(found.profiles.items())
        ]
        if rows:
            print_table(_COLUMNS, rows)
        typer.echo(f"in {file}" if rows else f"none in {file}. One looks like this:\n\n{_EXAMPLE}")
        typer.echo(f"commands here speak to {here.url}, {'with' if here.token else 'without'} a token")

    show({"file": str(file), "profiles": lines, "url": here.url, "has_token": here.token is not None}, format, table)

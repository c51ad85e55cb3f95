"""`dualrun dead-letters` against a running gateway."""

from __future__ import annotations

from typer.testing import CliRunner

from gateway.cli.main import app
from tests.support.gateway_server import running_gateway


def test_what_is_not_there_is_said_so_with_exit_code_2() -> None:
    with running_gateway() as server:
        env = {"DUALRUN_GATEWAY_URL": server.url, "COLUMNS": "80"}
        for arguments in (
            ["list", "--service", "nobody"],
            ["show", "dualrun.events.shop", "m/1"],
            ["replay", "dualrun.events.shop", "m-1"],
            ["discard", "dualrun.events.shop", "m-1", "--reason", "why"],
        ):
            ended = CliRunner().invoke(app, ["dead-letters", *arguments], env=env)
            assert (ended.exit_code, "not_found" in ended.output) == (2, True), ended.output

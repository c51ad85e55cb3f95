"""`dualrun breakers` against a running gateway."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from gateway.cli.main import app
from tests.support.gateway_server import running_gateway


def test_breakers_are_a_line_each_and_none_is_said_so() -> None:
    with running_gateway() as server:
        env = {"DUALRUN_GATEWAY_URL": server.url, "COLUMNS": "80"}
        none = CliRunner().invoke(app, ["breakers"], env=env)
        assert (none.exit_code, none.output) == (0, "none: no event worker asked for a circuit within a day\n")
        server.break_circuit("bank")
        table = CliRunner().invoke(app, ["breakers", "--service", "shop"], env=env)
        assert table.exit_code == 0, table.output
        assert "bank" in table.output
        assert "open" in table.output
        (shown,) = json.loads(CliRunner().invoke(app, ["breakers", "--format", "json"], env=env).output)["breakers"]
        assert (shown["name"], shown["state"]) == ("bank", "open")

"""`dualrun queues` against a running gateway."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from gateway.cli.main import app
from tests.support.gateway_server import running_gateway


def test_queues_are_a_line_each() -> None:
    with running_gateway() as server:
        env = {"DUALRUN_GATEWAY_URL": server.url, "COLUMNS": "80"}
        table = CliRunner().invoke(app, ["queues"], env=env)
        assert table.exit_code == 0, table.output
        assert "dualrun.events.shop" in table.output
        told = json.loads(CliRunner().invoke(app, ["queues", "--format", "json"], env=env).output)["queues"]
        assert {"dualrun.events.shop", "dualrun.shadow.shop", "dualrun.records"} <= {queue["name"] for queue in told}

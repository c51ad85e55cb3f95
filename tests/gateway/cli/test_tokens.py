"""`dualrun tokens` against a gateway that asks who calls."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from gateway.settings import AccessMode
from tests.support.access import ADMIN_TOKEN
from tests.support.command_line import Dualrun, dualrun_at
from tests.support.gateway_parts import TASK
from tests.support.gateway_server import GatewayServer, running_gateway


@pytest.fixture(scope="module")
def server() -> Iterator[GatewayServer]:
    with running_gateway(access=AccessMode.REQUIRED, admin_token=ADMIN_TOKEN) as server:
        yield server


@pytest.fixture
def dualrun(server: GatewayServer, monkeypatch: pytest.MonkeyPatch) -> Dualrun:
    monkeypatch.setenv("DUALRUN_TOKEN", ADMIN_TOKEN)
    return dualrun_at(server.url)


def test_a_token_is_created_used_listed_and_revoked(dualrun: Dualrun, monkeypatch: pytest.MonkeyPatch) -> None:
    created = dualrun("tokens", "create", "checkout", "--allow", "submit", "--task", "order.*", "--expires-in", "90d")
    token = created.stdout.strip()
    assert (created.exit_code, token.count("_") >= 2, token[:8]) == (0, True, "dualrun_")
    id_ = token.split("_")[1]
    listed = dualrun("tokens", "list")
    assert id_ in listed.stdout
    assert "checkout" in listed.stdout
    assert token.split("_", 2)[2] not in listed.stdout

    monkeypatch.setenv("DUALRUN_TOKEN", token)
    assert dualrun("submit", TASK, "--args", '[42, "ann@example.org"]').exit_code == 0
    assert dualrun("flags", "list").exit_code == 4

    monkeypatch.setenv("DUALRUN_TOKEN", ADMIN_TOKEN)
    assert dualrun("tokens", "revoke", id_).exit_code == 0
    monkeypatch.setenv("DUALRUN_TOKEN", token)
    refused = dualrun("submit", TASK, "--args", '[42, "ann@example.org"]')
    assert refused.exit_code == 4
    assert token not in refused.output


def test_without_a_token_the_command_says_where_it_would_be_read(dualrun: Dualrun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DUALRUN_TOKEN")
    refused = dualrun("flags", "list")
    assert refused.exit_code == 4
    assert "DUALRUN_TOKEN" in refused.output


@pytest.mark.parametrize("arguments", [("--allow", "everything"), ("--allow", "view", "--expires-in", "soon"), ()])
def test_what_cannot_be_is_refused(dualrun: Dualrun, arguments: tuple[str, ...]) -> None:
    assert dualrun("tokens", "create", "x", *arguments).exit_code == 2


def test_what_programs_read_is_json(dualrun: Dualrun) -> None:
    view = json.loads(dualrun("tokens", "create", "grafana", "--allow", "view", "--format", "json").stdout)
    assert (view["permissions"], view["tasks"], view["expires_at"]) == (["view"], ["*"], None)

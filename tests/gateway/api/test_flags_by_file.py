"""With DUALRUN_FLAGS_MODE=file nobody but the file changes flags."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from gateway.flags import FlagsFile
from tests.support.command_line import dualrun_at
from tests.support.gateway_parts import TASK, MemoryGateway, memory_gateway
from tests.support.gateway_server import running_gateway


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[MemoryGateway]:
    path = tmp_path / "flags.yaml"
    path.write_text(f"version: 1\nflags:\n  {TASK}: {{mode: events}}\n")
    async with memory_gateway(flags_mode="file", flags_file=path) as gateway:
        await FlagsFile(path, gateway.flags, alone=True).apply()
        yield gateway


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", f"/v1/flags/{TASK}", {"mode": "legacy"}),
        ("PUT", "/v1/flags/nobody.serves_it", {"mode": "events"}),
        ("PUT", "/v1/flags", {"flags": {}}),
        ("POST", f"/v1/flags/{TASK}/rollback", {}),
        ("POST", "/v1/flags/rollback", {}),
    ],
)
async def test_every_change_is_refused_and_says_which_file_to_edit(
    client: httpx.AsyncClient, method: str, path: str, body: dict[str, object]
) -> None:
    answer = await client.request(method, path, json=body, headers={"If-Match": "*"})
    assert (answer.status_code, answer.json()["code"]) == (409, "flags_by_file")
    assert "flags.yaml" in answer.json()["detail"]
    assert (await client.get("/v1/flags")).json()["version"] == 1


async def test_history_and_dry_runs_answer(client: httpx.AsyncClient) -> None:
    assert [entry["source"] for entry in (await client.get("/v1/flags/history")).json()["versions"]] == ["file"]
    answer = await client.put("/v1/flags", params={"dry_run": True}, json={"flags": {}})
    assert [change["kind"] for change in answer.json()["changes"]] == ["removed"]
    assert "are changed by the file" in answer.json()["refused"]


def test_a_dry_run_on_the_command_line_says_that_apply_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "flags.yaml"
    path.write_text(f"version: 1\nflags:\n  {TASK}: {{mode: legacy}}\n")
    with running_gateway(flags_mode="file", flags_file=path) as server:
        ended = dualrun_at(server.url)("flags", "apply", str(path), "--dry-run")
    assert (ended.exit_code, f"+ {TASK}: mode legacy" in ended.stdout) == (0, True)
    assert "apply is refused here: flags are changed by the file" in ended.stdout

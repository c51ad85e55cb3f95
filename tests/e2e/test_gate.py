"""A fault in a handler, and a gate that takes its canary back by itself: in one process, and on real services."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.embedded.demo import FAULTY_HANDLERS
from gateway.embedded.server import listen, serving
from gateway.embedded.stack import EmbeddedOptions, open_embedded
from tests.support.stack import running_stack

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

TASK = "product.update_stock"  # the faulty handler loses the caller's reason
CANARY = {
    "mode": "canary",
    "events_percent": 50,
    "shadow_percent": 100,
    "safety": "sandboxed",
    "gate": {"steps": ["shadow 100 %", "canary 50 %", "events"], "mismatch_percent": 5, "soak_s": 0},
}
SUBMISSIONS = {"tasks": [{"task": TASK, "args": [1, 1, "returned"]} for _ in range(40)]}
WAIT_S = 90.0


async def _taken_back(url: str) -> dict[str, Any]:
    """Set the canary, send it work, and wait for the version the gate makes."""
    async with httpx.AsyncClient(base_url=url, timeout=30.0) as client:
        (await client.put(f"/v1/flags/{TASK}", json=CANARY)).raise_for_status()
        answer = (await client.post("/v1/tasks/batch", json=SUBMISSIONS)).raise_for_status().json()
        assert answer["accepted"] == len(SUBMISSIONS["tasks"])
        flag = await asyncio.wait_for(_flag_at_legacy(client), WAIT_S)
        versions = (await client.get("/v1/flags/history")).json()["versions"]
        (made,) = (version for version in versions if version["source"] == "gate")
        assert made["version"] == flag["version"]
        after = (await client.post("/v1/tasks", json=SUBMISSIONS["tasks"][0])).json()
        assert after["decision"]["authority"] == "legacy"
        result: dict[str, Any] = made
        return result


async def _flag_at_legacy(client: httpx.AsyncClient) -> dict[str, Any]:
    while True:
        flag: dict[str, Any] = (await client.get(f"/v1/flags/{TASK}")).json()
        if flag["mode"] == "legacy":
            return flag
        await asyncio.sleep(0.1)


def _says_on_what(version: dict[str, Any]) -> None:
    evidence = version["evidence"]
    failing = [check["name"] for check in evidence["checks"] if check["result"] == "fail"]
    assert failing == ["mismatch"]
    assert 0 < evidence["mismatches"] <= evidence["n"]
    assert version["reason"].startswith("mismatch: ")


async def test_in_one_process_a_planted_fault_takes_its_canary_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUALRUN_GATE_INTERVAL_S", "0.1")
    async with open_embedded(EmbeddedOptions(state_dir=tmp_path, handlers=FAULTY_HANDLERS)) as stack:
        with listen("127.0.0.1", 0) as listener:
            async with serving(stack, listener) as url:
                _says_on_what(await _taken_back(url))


@pytest.mark.services
async def test_on_real_services_two_comparators_take_it_back_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUALRUN_GATE_INTERVAL_S", "0.1")
    with running_stack(tmp_path, handlers=FAULTY_HANDLERS, tasks={TASK: {"legacy", "events"}}, comparators=2) as stack:
        _says_on_what(await _taken_back(stack.url))

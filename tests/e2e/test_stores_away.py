"""Redis or the ledger being down does not stop authority work that the last known flags decide."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.support.services import fresh_database, reachable_redis_url
from tests.support.stack import running_stack
from tests.support.tcp_proxy import proxied

pytestmark = [pytest.mark.e2e, pytest.mark.services, pytest.mark.timeout(180)]

TASK = {"task": "learning.add", "args": [2, 3]}
WAIT_30_S = {"wait_s": 30}


def test_without_redis_submissions_go_on_by_the_last_known_flags(tmp_path: Path) -> None:
    with (
        proxied(reachable_redis_url(), 6379) as (proxy, redis_url),
        running_stack(tmp_path, gateway_env={"DUALRUN_REDIS_URL": redis_url}) as stack,
        httpx.Client(base_url=stack.url, timeout=60.0) as gateway,
    ):
        gateway.put("/v1/flags/learning.add", json={"mode": "events"}).raise_for_status()
        proxy.break_down()
        answers = [gateway.post("/v1/tasks", json=TASK) for _ in range(5)]
        assert [(answer.status_code, answer.json()["decision"]["authority"]) for answer in answers] == [(202, "events")] * 5
        keyed = gateway.post("/v1/tasks", json=TASK, headers={"Idempotency-Key": "k"})
        assert (keyed.status_code, keyed.json()["code"]) == (503, "store_unavailable")
        result = gateway.get(f"/v1/tasks/{answers[0].json()['id']}/result", params=WAIT_30_S)
        assert result.json()["outcome"]["value"] == 5
        assert gateway.get("/readyz").json()["ready"]


def test_without_the_ledger_submissions_go_on_and_are_on_record_once_it_is_back(tmp_path: Path) -> None:
    with (
        fresh_database() as direct_url,
        proxied(direct_url, 5432) as (proxy, ledger_url),
        running_stack(tmp_path, ledger_url=ledger_url) as stack,
        httpx.Client(base_url=stack.url, timeout=60.0) as gateway,
    ):
        proxy.break_down()
        answers = [gateway.post("/v1/tasks", json=TASK) for _ in range(5)]
        assert [answer.status_code for answer in answers] == [202] * 5
        path = f"/v1/tasks/{answers[0].json()['id']}"
        assert gateway.get(path).json()["code"] == "store_unavailable"
        proxy.restore()
        stack.gateway.wait_until(
            lambda: (gateway.get(path).json().get("authority") or {}).get("state") == "succeeded", "its outcome on record"
        )

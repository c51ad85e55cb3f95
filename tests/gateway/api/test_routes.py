from __future__ import annotations

from datetime import UTC, datetime

import httpx
import pytest

from dualrun.contracts import Outcome, Role, Side, State
from gateway.outcomes.broker import BrokerRecordSink
from tests.support.gateway_parts import TASK, MemoryGateway

pytestmark = pytest.mark.usefixtures("comparing")

GOOD = {"task": TASK, "args": [42, "ann@example.org"]}
SHADOW = {"mode": "shadow", "shadow_percent": 100, "safety": "sandboxed"}


def outcome(submission_id: str, role: Role, value: object) -> Outcome:
    now = datetime.now(UTC)
    return Outcome(
        submission_id=submission_id,
        task=TASK,
        side=Side.LEGACY if role is Role.AUTHORITY else Side.EVENTS,
        role=role,
        state=State.SUCCEEDED,
        value=value,  # type: ignore[arg-type]  # whatever JSON the test gives
        elapsed_ms=1.0,
        started_at=now,
        ended_at=now,
        worker="w:1",
        flag_version=1,
    )


async def test_an_accepted_task_answers_202_with_its_place_and_its_decision(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/tasks", json=GOOD)
    assert answer.status_code == 202
    accepted = answer.json()
    assert answer.headers["Location"] == f"/v1/tasks/{accepted['id']}"
    assert (accepted["decision"]["authority"], accepted["decision"]["reason"]) == ("legacy", "no_flag")


async def test_a_task_can_be_read_the_moment_it_was_accepted(client: httpx.AsyncClient) -> None:
    accepted = (await client.post("/v1/tasks", json=GOOD)).json()
    view = (await client.get(f"/v1/tasks/{accepted['id']}")).json()
    assert view["submission"]["args"] == GOOD["args"]
    assert view["decision"] == accepted["decision"]
    assert (view["authority"], view["shadow"], view["comparison"]) == (None, None, None)


async def test_both_outcomes_and_their_comparison_are_shown(gateway: MemoryGateway, client: httpx.AsyncClient) -> None:
    await client.put(f"/v1/flags/{TASK}", json=SHADOW)
    accepted = (await client.post("/v1/tasks", json=GOOD)).json()
    sink = BrokerRecordSink(gateway.broker)
    await sink.append([outcome(accepted["id"], Role.SHADOW, {"total": "1.00"}), outcome(accepted["id"], Role.AUTHORITY, {"total": "1.01"})])
    await sink.close()
    result = await client.get(f"/v1/tasks/{accepted['id']}/result", params={"wait_s": 5})
    assert (result.status_code, result.json()["outcome"]["value"]) == (200, {"total": "1.01"})
    await gateway.comparator.stop()
    view = (await client.get(f"/v1/tasks/{accepted['id']}")).json()
    assert view["comparison"]["verdict"] == "different_value"
    assert [d["path"] for d in view["comparison"]["differences"]] == ["/value/total"]
    report = (await client.get("/v1/reports/shadow", params={"format": "json"})).json()
    assert [(task["task"], task["counts"]["different_value"]) for task in report["tasks"]] == [(TASK, 1)]


async def test_a_secret_in_a_value_is_its_callers_alone(gateway: MemoryGateway, client: httpx.AsyncClient) -> None:
    await client.put(f"/v1/flags/{TASK}", json=SHADOW)
    accepted = (await client.post("/v1/tasks", json=GOOD)).json()
    sink = BrokerRecordSink(gateway.broker)
    await sink.append([outcome(accepted["id"], role, {"token": "correct horse"}) for role in (Role.SHADOW, Role.AUTHORITY)])
    await sink.close()
    result = await client.get(f"/v1/tasks/{accepted['id']}/result", params={"wait_s": 5})
    assert result.json()["outcome"]["value"] == {"token": "correct horse"}
    await gateway.comparator.stop()
    view = await client.get(f"/v1/tasks/{accepted['id']}")
    assert "correct horse" not in view.text
    assert view.json()["comparison"]["verdict"] == "equal"


async def test_a_result_that_is_not_there_yet_is_pending(client: httpx.AsyncClient) -> None:
    accepted = (await client.post("/v1/tasks", json=GOOD)).json()
    answer = await client.get(f"/v1/tasks/{accepted['id']}/result", params={"wait_s": 0.05})
    assert (answer.status_code, answer.json()["state"]) == (202, "pending")


@pytest.mark.parametrize("path", ["/v1/tasks/nobody", "/v1/tasks/nobody/result", "/v1/nothing"])
async def test_what_is_not_there_is_a_problem_with_a_code(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert answer.headers["Content-Type"] == "application/problem+json"


async def test_a_repeated_key_answers_the_same_and_says_so(client: httpx.AsyncClient) -> None:
    first = await client.post("/v1/tasks", json=GOOD, headers={"Idempotency-Key": "k"})
    again = await client.post("/v1/tasks", json=GOOD, headers={"Idempotency-Key": "k"})
    assert again.json() == first.json()
    assert again.headers["Idempotency-Replayed"] == "true"


async def test_an_unknown_task_names_the_nearest(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/tasks", json={"task": "order.send_confirmation"})
    assert (answer.status_code, answer.json()["code"], answer.json()["nearest"]) == (404, "unknown_task", [TASK])


async def test_a_refused_argument_is_named(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/tasks", json={"task": TASK, "args": ["42", "ann@example.org"]})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_arguments")
    assert answer.json()["errors"] == [{"pointer": "/args/0", "detail": '"42" is not of type "integer"'}]


async def test_a_batch_answers_for_each_task_in_order(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/tasks/batch", json={"tasks": [GOOD, {"task": "x", "surprise": 1}, {"task": "nobody"}, GOOD]})
    body = answer.json()
    assert (answer.status_code, body["accepted"], body["refused"]) == (202, 2, 2)
    assert [result.get("problem", {}).get("code", result["status"]) for result in body["results"]] == [
        "accepted",
        "invalid_body",
        "unknown_task",
        "accepted",
    ]


async def test_a_batch_of_more_than_a_thousand_is_refused_whole(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/tasks/batch", json={"tasks": [GOOD] * 1_001})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/tasks")


async def test_a_task_without_a_safety_class_is_refused_for_shadow_with_the_reason(client: httpx.AsyncClient) -> None:
    answer = await client.put(f"/v1/flags/{TASK}", json={"mode": "shadow", "shadow_percent": 100})
    assert (answer.status_code, answer.json()["code"]) == (409, "unsafe_shadow")
    assert answer.json()["errors"][0]["pointer"] == "/safety"
    assert (await client.get(f"/v1/flags/{TASK}")).status_code == 404


async def test_a_flag_changed_meanwhile_is_a_conflict_that_names_the_version_in_force(client: httpx.AsyncClient) -> None:
    etag = (await client.get("/v1/flags")).headers["ETag"]
    assert (await client.put(f"/v1/flags/{TASK}", json=SHADOW, headers={"If-Match": etag})).status_code == 200
    answer = await client.put(f"/v1/flags/{TASK}", json={"mode": "legacy"}, headers={"If-Match": etag})
    assert (answer.status_code, answer.json()["code"], answer.json()["current_version"]) == (409, "flag_conflict", 1)


async def test_a_percentage_finer_than_a_thousandth_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.put(f"/v1/flags/{TASK}", json={"mode": "canary", "events_percent": 0.0005})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/events_percent")


async def test_the_callers_trace_goes_on_in_the_submission(client: httpx.AsyncClient) -> None:
    traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    accepted = (await client.post("/v1/tasks", json=GOOD, headers={"traceparent": traceparent})).json()
    view = (await client.get(f"/v1/tasks/{accepted['id']}")).json()
    assert view["submission"]["traceparent"].split("-")[1] == traceparent.split("-")[1]


async def test_the_document_describes_every_route_with_examples(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    submit = document["paths"]["/v1/tasks"]["post"]
    assert submit["requestBody"]["content"]["application/json"]["example"]["task"] == TASK
    assert set(submit["responses"]) == {"202", "400", "401", "403", "404", "409", "413", "415", "422", "429", "503"}
    assert "TaskRequest" in document["components"]["schemas"]


@pytest.mark.parametrize(("path", "kind"), [("/healthz", "application/json"), ("/readyz", "application/json"), ("/metrics", "text/plain")])
async def test_operators_pages_answer(client: httpx.AsyncClient, path: str, kind: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith(kind)


@pytest.mark.parametrize(("format_", "kind"), [("json", "application/json"), ("markdown", "text/markdown"), ("html", "text/html")])
async def test_the_report_is_written_in_each_format(client: httpx.AsyncClient, format_: str, kind: str) -> None:
    answer = await client.get("/v1/reports/shadow", params={"format": format_})
    assert answer.headers["Content-Type"].startswith(kind)

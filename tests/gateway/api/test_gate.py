"""`/v1/flags/{task}/gate`, `.../promote` and `.../hold`."""

from __future__ import annotations

from dataclasses import replace

import httpx
import msgspec
import pytest

from dualrun.contracts import Announcement, Mode, Role, Side
from tests.support.gateway_parts import TASK, MemoryGateway
from tests.support.records import NOON, a_comparison, an_outcome

GATED = {"mode": "shadow", "shadow_percent": 100, "safety": "pure", "gate": {"steps": ["shadow 100 %", "canary 1 %", "events"]}}


async def _promote(client: httpx.AsyncClient, **body: object) -> httpx.Response:
    return await client.post(f"/v1/flags/{TASK}/promote", json=body)


async def test_the_gate_says_where_a_task_stands_and_what_is_still_to_be_proven(gateway: MemoryGateway, client: httpx.AsyncClient) -> None:
    await client.put(f"/v1/flags/{TASK}", json={**GATED, "gate": {**GATED["gate"], "mismatch_percent": 0.5}})  # type: ignore[dict-item]
    await gateway.ledger.store([replace(a_comparison(f"s{n}", task=TASK), flag_version=1) for n in range(312)])
    answer = await client.get(f"/v1/flags/{TASK}/gate")
    view = answer.json()
    assert answer.headers["ETag"] == '"1"'
    assert (view["present"]["name"], view["next"]["name"], view["action"], view["gated"]) == ("shadow 100 %", "canary 1 %", "hold", True)
    (mismatch,) = (check for check in view["checks"] if check["name"] == "mismatch")
    assert (mismatch["text"], mismatch["n"], mismatch["needed"]) == ("312 of 598 clean runs to prove < 0.5 %", 312, 598)
    assert 3_590 < view["soak_left_s"] <= 3_600
    assert view["workers"] == {"legacy": 1, "events": 1}
    assert _after(view["if_promoted"]) == {"mode": "canary", "events_percent": 1.0}
    assert _after(view["if_rolled_back"]) == {"mode": "legacy", "shadow_percent": 0.0}


def _after(changes: list[dict[str, list[dict[str, object]]]]) -> dict[object, object]:
    (change,) = changes
    return {member["member"]: member["after"] for member in change["members"]}


async def test_a_flag_without_a_gate_is_judged_by_the_usual_one(client: httpx.AsyncClient) -> None:
    await client.put(f"/v1/flags/{TASK}", json={"mode": "canary", "events_percent": 1})
    view = (await client.get(f"/v1/flags/{TASK}/gate")).json()
    assert (view["gated"], view["next"]["name"], view["last_verdict"]) == (False, "canary 10 %", None)


async def test_a_task_no_flag_names_has_no_gate(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v1/flags/no.such_task/gate")).status_code == 404


async def test_without_evidence_promotion_is_refused_and_says_what_is_missing(client: httpx.AsyncClient) -> None:
    await client.put(f"/v1/flags/{TASK}", json=GATED)
    answer = await _promote(client)
    assert (answer.status_code, answer.json()["code"]) == (409, "not_proven")
    assert "/checks/mismatch" in {error["pointer"] for error in answer.json()["errors"]}


async def test_force_asks_for_a_reason_and_both_are_in_the_history(client: httpx.AsyncClient) -> None:
    await client.put(f"/v1/flags/{TASK}", json=GATED)
    refused = await _promote(client, force=True)
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/reason")
    answer = await _promote(client, force=True, reason="we looked by hand", author="ann")
    assert (answer.status_code, answer.json()["step"]["name"]) == (200, "canary 1 %")
    newest = (await client.get("/v1/flags/history")).json()["versions"][0]
    assert (newest["author"], newest["reason"], newest["evidence"]["n"]) == ("ann", "we looked by hand", 0)


async def test_it_goes_one_step_forward_at_a_time_and_any_step_back(client: httpx.AsyncClient) -> None:
    await client.put(f"/v1/flags/{TASK}", json=GATED)
    far = await _promote(client, to="events", force=True, reason="hurry")
    assert (far.status_code, far.json()["code"]) == (409, "step_refused")
    assert "the next one is 'canary 1 %'" in far.json()["detail"]
    await _promote(client, force=True, reason="go")
    back = await _promote(client, to="shadow 5 %")
    assert (back.status_code, back.json()["step"]["percent"]) == (200, 5.0)
    assert (await _promote(client, to="canery 1 %")).json()["errors"][0]["pointer"] == "/to"


async def test_a_held_task_stays_until_it_is_released(client: httpx.AsyncClient) -> None:
    await client.put(f"/v1/flags/{TASK}", json=GATED)
    assert (await client.post(f"/v1/flags/{TASK}/hold", json={"reason": "stock-taking"})).json()["changed"] is True
    assert (await client.post(f"/v1/flags/{TASK}/hold")).json()["changed"] is False
    assert (await _promote(client, force=True, reason="go")).json()["code"] == "flag_held"
    await client.post(f"/v1/flags/{TASK}/hold", json={"held": False})
    assert (await _promote(client, force=True, reason="go")).status_code == 200


async def test_nobody_is_sent_to_a_side_without_a_handler_or_a_live_worker(gateway: MemoryGateway, client: httpx.AsyncClient) -> None:
    await client.put("/v1/flags/legacy.only", json={"mode": "legacy", "safety": "pure"})
    unknown = await client.post("/v1/flags/legacy.only/promote", json={"force": True, "reason": "go"})
    assert (unknown.status_code, unknown.json()["code"]) == (409, "side_not_served")
    assert "@handler('legacy.only')" in unknown.json()["detail"]
    served = gateway.catalogue.served_by(TASK)[Side.EVENTS]
    gateway.catalogue.withdraw(Announcement(worker="events-1", side=Side.EVENTS, service="shop", tasks=(served,)))
    await client.put(f"/v1/flags/{TASK}", json={**GATED, "mode": "legacy"})
    dead = await _promote(client, force=True, reason="go")
    assert (dead.status_code, dead.json()["code"]) == (409, "side_not_served")
    assert "start `python -m event_handlers`" in dead.json()["detail"]


async def test_a_gated_flag_goes_forward_by_promotion_alone_and_back_by_anything(client: httpx.AsyncClient) -> None:
    await client.put(f"/v1/flags/{TASK}", json=GATED)
    forward = await client.put(f"/v1/flags/{TASK}", json={**GATED, "mode": "events"})
    assert (forward.status_code, forward.json()["code"]) == (409, "step_refused")
    assert (await client.put(f"/v1/flags/{TASK}", json={**GATED, "shadow_percent": 5})).status_code == 200
    assert (await client.post(f"/v1/flags/{TASK}/rollback")).status_code == 200


@pytest.mark.parametrize("own", [TASK, "order.*"])
async def test_what_guards_a_task_stays_where_a_body_leaves_it_out_and_goes_by_null(client: httpx.AsyncClient, own: str) -> None:
    body = {name: value for name, value in GATED.items() if name != "gate"}
    await client.put(f"/v1/flags/{own}", json={**GATED, "held": True})
    kept = (await client.put(f"/v1/flags/{TASK}", json=body)).json()
    assert (kept["gate"]["steps"], kept["held"]) == (GATED["gate"]["steps"], True)  # type: ignore[index]
    await client.put("/v1/flags", json={"flags": {TASK: body}}, headers={"If-Match": "*"})
    kept = (await client.get(f"/v1/flags/{TASK}")).json()
    assert (kept["gate"]["steps"], kept["held"]) == (GATED["gate"]["steps"], True)  # type: ignore[index]
    gone = (await client.put(f"/v1/flags/{TASK}", json={**body, "gate": None, "held": None})).json()
    assert (gone["gate"], gone["held"]) == (None, False)


async def test_going_on_and_taking_the_gate_away_at_once_asks_as_the_gate_does(client: httpx.AsyncClient) -> None:
    await client.put(f"/v1/flags/{TASK}", json=GATED)
    for change in ({"mode": "events", "gate": None}, {"mode": "events"}):
        answer = await client.put(f"/v1/flags/{TASK}", json=change)
        assert (answer.status_code, answer.json()["code"]) == (409, "step_refused")
    assert (await client.put(f"/v1/flags/{TASK}", json={"mode": "legacy"})).status_code == 200


STAFF = {
    "name": "staff",
    "when": [{"path": "attributes.tenant", "operator": "eq", "value": "staff"}],
    "mode": "canary",
    "events_percent": 1,
}


async def _put(client: httpx.AsyncClient, **changes: object) -> httpx.Response:
    return await client.put(f"/v1/flags/{TASK}", json={**GATED, **changes})


async def test_a_rule_that_takes_somebody_further_than_a_gated_flag_asks_for_evidence_or_for_force_and_a_reason(
    gateway: MemoryGateway, client: httpx.AsyncClient
) -> None:
    await _put(client)
    refused = await _put(client, rules=[STAFF])
    assert (refused.status_code, refused.json()["code"]) == (409, "not_proven")
    assert "rule 'staff' is a step forward" in refused.json()["detail"]
    too_far = await _put(client, rules=[{**STAFF, "mode": "events", "events_percent": 0}])
    assert (too_far.status_code, too_far.json()["code"]) == (409, "step_refused")
    assert "further than its next step, 'canary 1 %'" in too_far.json()["detail"]
    assert (await _put(client, rules=[STAFF], force=True)).json()["errors"][0]["pointer"] == "/reason"
    forced = await _put(client, rules=[{**STAFF, "mode": "events", "events_percent": 0}], force=True, reason="we go first")
    assert forced.status_code == 200
    # What it has already, and what goes no further than the flag itself, is no step.
    assert (await _put(client, rules=forced.json()["rules"], shadow_percent=50)).status_code == 200
    assert (await _put(client, shadow_percent=50, rules=[{**STAFF, "mode": "shadow", "shadow_percent": 50}])).status_code == 200
    assert gateway.flags.snapshot.version == 4


@pytest.mark.parametrize("all_at_once", [False, True])
async def test_with_evidence_a_rule_may_go_as_far_as_the_next_step_and_the_version_says_on_what(
    gateway: MemoryGateway, client: httpx.AsyncClient, all_at_once: bool
) -> None:
    gate = {**GATED["gate"], "soak_s": 0, "min_samples": 10, "missing_percent": 100, "error_points": 100, "latency_ratio": 100}  # type: ignore[dict-item]
    await _put(client, gate={**gate, "mismatch_percent": 50})
    pairs = [f"s{n}" for n in range(300)]
    await gateway.ledger.store([replace(a_comparison(pair, task=TASK, shadow_ms=8.0), flag_version=1) for pair in pairs])
    outcomes = [an_outcome(pair, role, task=TASK) for pair in pairs for role in Role]
    await gateway.ledger.append([msgspec.structs.replace(outcome, flag_version=1) for outcome in outcomes], arrived_at=NOON)
    ruled = {**GATED, "gate": {**gate, "mismatch_percent": 50}, "rules": [STAFF]}
    if all_at_once:
        answer = await client.put("/v1/flags", json={"flags": {TASK: ruled}}, headers={"If-Match": '"1"'})
    else:
        answer = await client.put(f"/v1/flags/{TASK}", json=ruled)
    assert answer.status_code == 200, answer.text
    newest = (await client.get("/v1/flags/history")).json()["versions"][0]
    assert (newest["evidence"]["n"], newest["evidence"]["mismatches"]) == (300, 0)
    assert await _compared(client, newest["evidence"]["report"]) == 300


async def _compared(client: httpx.AsyncClient, report: str) -> object:
    """What the report says that a version rests on."""
    (task,) = (await client.get(report)).raise_for_status().json()["tasks"]
    return task["compared"]


async def test_a_promotion_names_the_report_of_what_it_rests_on_whatever_other_flags_did_meanwhile(
    gateway: MemoryGateway, client: httpx.AsyncClient
) -> None:
    await client.put(f"/v1/flags/{TASK}", json=GATED)
    await client.put("/v1/flags/another.task", json={"mode": "legacy"})
    now = gateway.services.now()
    for version in (1, 2):
        await gateway.ledger.store([replace(a_comparison(f"s{version}", task=TASK), flag_version=version, compared_at=now)])
    await _promote(client, force=True, reason="looked by hand")
    newest = (await client.get("/v1/flags/history")).json()["versions"][0]
    assert newest["evidence"]["n"] == 2
    assert await _compared(client, newest["evidence"]["report"]) == 2


async def test_a_flag_of_its_own_does_not_lead_a_task_past_the_gate_of_its_glob(client: httpx.AsyncClient) -> None:
    await client.put("/v1/flags/order.*", json=GATED)
    own = await client.put(f"/v1/flags/{TASK}", json={"mode": "events"})
    assert (own.status_code, own.json()["code"]) == (409, "step_refused")


async def test_a_file_does_not_lead_a_task_past_its_gate_and_by_force_no_further_than_a_step(client: httpx.AsyncClient) -> None:
    await _put(client)
    one = {"flags": {TASK: {**GATED, "mode": "canary", "events_percent": 1}}}
    far = {"flags": {TASK: {**GATED, "mode": "events"}}}
    for params in ({"dry_run": "true"}, {}):
        refused = await client.put("/v1/flags", json=one, params=params, headers={"If-Match": "*"})
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (409, f"/flags/{TASK}/mode")
    by_force = {"force": True, "reason": "the file was reviewed"}
    assert (await client.put("/v1/flags", json={**far, **by_force}, headers={"If-Match": "*"})).json()["code"] == "step_refused"
    assert (await client.put("/v1/flags", json={**one, **by_force}, headers={"If-Match": "*"})).status_code == 200


async def test_a_held_task_takes_no_further_rule_even_by_force(client: httpx.AsyncClient) -> None:
    await _put(client, held=True)
    assert (await _put(client, held=True, rules=[STAFF], force=True, reason="go")).json()["code"] == "flag_held"


async def test_what_a_person_looked_at_is_kept_with_the_version(client: httpx.AsyncClient) -> None:
    seen = {"report": "https://gateway/v1/reports/shadow", "n": 900, "mismatches": 1, "mismatch_at_most_percent": 0.53}
    await client.put(f"/v1/flags/{TASK}", json={"mode": "events", "evidence": seen})
    await client.post(f"/v1/flags/{TASK}/rollback", json={"evidence": {"report": "mail 17"}})
    newest, first = (await client.get("/v1/flags/history")).json()["versions"]
    assert {name: first["evidence"][name] for name in seen} == seen
    assert newest["evidence"]["report"] == "mail 17"


async def test_a_gate_that_cannot_be_is_refused_with_its_place(client: httpx.AsyncClient) -> None:
    for gate, pointer in (({"steps": ["canary 5 %", "canary 1 %"]}, "/gate/steps/1"), ({"steps": ["sometimes"]}, "/gate/steps/0")):
        answer = await client.put(f"/v1/flags/{TASK}", json={**GATED, "gate": gate})
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


async def test_a_step_back_counts_as_a_rollback_and_a_rollback_further_on_as_a_promotion(client: httpx.AsyncClient) -> None:
    async def counted() -> tuple[str, ...]:
        text = (await client.get("/metrics")).text
        return tuple(line for line in text.splitlines() if line.startswith(("dualrun_rollbacks_total", "dualrun_promotions_total")))

    async def moves(path: str, **body: object) -> tuple[str, ...]:
        before = await counted()
        (await client.post(f"/v1/flags/{path}", json=body)).raise_for_status()
        return tuple(sorted({line.split("_total")[0] for line in set(await counted()) - set(before)}))

    await client.put(f"/v1/flags/{TASK}", json={"mode": "canary", "events_percent": 1})
    assert await moves(f"{TASK}/promote", force=True, reason="go") == ("dualrun_promotions",)
    assert await moves(f"{TASK}/promote", to="canary 1 %") == ("dualrun_rollbacks",)
    assert await moves(f"{TASK}/rollback") == ("dualrun_rollbacks",)
    assert await moves(f"{TASK}/rollback") == ()
    assert await moves(f"{TASK}/rollback", to_version=1) == ("dualrun_promotions",)
    assert await moves("rollback") == ("dualrun_rollbacks",)
    assert await moves("rollback", to_version=2) == ("dualrun_promotions",)


async def test_metrics_show_mode_exposure_and_what_was_rolled_back(client: httpx.AsyncClient) -> None:
    await client.put(f"/v1/flags/{TASK}", json={"mode": "canary", "events_percent": 2.5})
    text = (await client.get("/metrics")).text
    assert f'dualrun_flag_mode{{mode="{Mode.CANARY.value}",task="{TASK}"}} 1.0' in text
    assert f'dualrun_flag_events_percent{{task="{TASK}"}} 2.5' in text
    await client.post(f"/v1/flags/{TASK}/rollback", json={"source": "cli"})
    assert 'dualrun_rollbacks_total{source="cli"} 1.0' in (await client.get("/metrics")).text

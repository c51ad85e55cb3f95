"""`/v1/differences`, and the report as a build reads it."""

from __future__ import annotations

import csv
from collections.abc import AsyncIterator
from dataclasses import replace
from xml.etree.ElementTree import fromstring

import httpx
import pytest

from dualrun.contracts import Role
from gateway.core.comparison import Verdict
from tests.support.gateway_parts import MemoryGateway, memory_gateway
from tests.support.records import NOON, a_comparison, a_difference, a_record, an_outcome


@pytest.fixture
async def gateway() -> AsyncIterator[MemoryGateway]:
    async with memory_gateway() as running:
        await running.ledger.append([a_record(), an_outcome(), an_outcome(role=Role.SHADOW)], arrived_at=NOON)
        await running.ledger.store([replace(a_comparison("s1", Verdict.DIFFERENT_VALUE, a_difference()), cohort_key="ann")])
        yield running


async def test_a_group_is_shown_with_decision_and_both_sides_of_its_samples(client: httpx.AsyncClient) -> None:
    (group,) = (await client.get("/v1/differences")).json()["groups"]
    view = (await client.get(f"/v1/differences/{group['fingerprint']}")).json()
    assert (view["group"]["path"], view["group"]["triage"], view["group"]["cohorts"]) == ("/value/total", "open", 1)
    (sample,) = view["submissions"]
    assert (sample["decision"]["flag_version"], sample["authority"]["side"], sample["shadow"]["side"]) == (7, "legacy", "events")


async def test_a_person_says_where_a_group_stands_and_lists_by_that(client: httpx.AsyncClient) -> None:
    (group,) = (await client.get("/v1/differences")).json()["groups"]
    where = f"/v1/differences/{group['fingerprint']}"
    said = (await client.put(where, json={"triage": "fixed", "author": "ann", "note": "1.4"})).json()["group"]
    assert (said["triage"], said["triage_note"]["author"], said["triage_note"]["note"]) == ("fixed", "ann", "1.4")
    assert (await client.get("/v1/differences", params={"triage": "open"})).json()["groups"] == []
    assert len((await client.get("/v1/differences", params={"triage": "fixed"})).json()["groups"]) == 1


async def test_what_cannot_be_said_is_refused(client: httpx.AsyncClient) -> None:
    (group,) = (await client.get("/v1/differences")).json()["groups"]
    refused = await client.put(f"/v1/differences/{group['fingerprint']}", json={"triage": "reopened"})
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_body")
    assert (await client.put(f"/v1/differences/{'0' * 16}", json={"triage": "known"})).json()["code"] == "not_found"
    assert (await client.get("/v1/differences/none")).status_code == 422


async def test_a_build_reads_the_report_as_junit(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/reports/shadow", params={"format": "junit"})
    assert answer.headers["content-type"].startswith("application/xml")
    (suite,) = fromstring(answer.text)
    assert (suite.get("name"), suite.get("failures"), suite.get("tests")) == ("shop.charge", "1", "2")
    (failure,) = suite.iter("failure")
    assert "/value/total" in str(failure.get("message"))


async def test_the_verdict_says_why_in_words(client: httpx.AsyncClient) -> None:
    (task,) = (await client.get("/v1/reports/shadow", params={"format": "json"})).json()["tasks"]
    assert (task["standing"], task["verdict"]) == ("not safe", "Not safe because another value in 1 submission.")
    assert (await client.get("/v1/reports/shadow", params={"format": "json", "flag_version": 99})).json()["tasks"] == []


async def test_the_table_for_spreadsheets_says_what_was_said(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/reports/shadow", params={"format": "csv"})
    (line,) = csv.DictReader(answer.text.splitlines())
    assert [line[name] for name in ("path", "triage", "cohorts", "task_cohorts")] == ["/value/total", "open", "1", "1"]
    assert all(line[name] for name in ("submission_id", "authority", "shadow"))


async def test_a_report_can_be_asked_for_by_cohort(client: httpx.AsyncClient) -> None:
    async def tasks(**scope: str) -> list[object]:
        answer = await client.get("/v1/reports/shadow", params={"format": "json", **scope})
        found: list[object] = answer.json()["tasks"]
        return found

    assert len(await tasks(cohort="")) == 1
    assert await tasks(cohort="beta") == []
    assert await tasks(cohort_key="nobody") == []
    said = (await client.get("/v1/reports/shadow/shop.charge", params={"format": "markdown", "cohort_key": "nobody"})).text
    assert "cohort key nobody only" in said
    assert (await client.get("/v1/reports/shadow", params={"cohort_key": ""})).json()["code"] == "invalid_parameter"


async def test_the_doctor_says_what_was_observed_and_what_to_do(client: httpx.AsyncClient) -> None:
    view = (await client.get("/v1/doctor/shop.charge")).json()
    assert (view["observed"], view["ready"], view["safety"]) == (1, False, "pure")
    assert view["findings"][0]["do"]
    assert (await client.get("/v1/doctor/nobody.knows")).json()["code"] == "not_found"

"""The console's pages as a browser gets them."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from dualrun.broker import Message
from gateway.api.application import create_application
from gateway.console import create_console
from gateway.core.comparison import Verdict
from gateway.core.errors import StoreUnavailable
from gateway.core.report import ReportScope
from gateway.rules import load_rules
from tests.gateway.console.conftest import HOSTILE
from tests.support.gateway_parts import EVENTS_QUEUE, TASK, MemoryGateway, memory_gateway
from tests.support.records import NOON, a_comparison, a_difference, a_record, an_outcome

HOSTILE_TASK = f"shop.{HOSTILE}"
SHOWN = re.compile(r'name="shown" value="([0-9a-f]{64})"')
HERE = {"Sec-Fetch-Site": "same-origin"}
PAGES = (
    "/",
    "/submissions",
    "/submissions/s1",
    "/flags",
    "/flags/1",
    "/dead-letters?service=nobody",
    "/breakers",
    "/workers",
    "/submissions?task=shop&verdict=differs&period=1 h&since=2026-05-04T10:00:00Z&before=nonsense",
    f"/tasks/{TASK}",
    f"/tasks/{TASK}/submit",
    "/nothing",
)


async def test_the_root_leads_to_the_console(client: httpx.AsyncClient) -> None:
    answer = await client.get("/")
    assert (answer.status_code, answer.headers["location"]) == (307, "/console/")


@pytest.mark.parametrize("page", PAGES)
async def test_a_page_may_ask_nobody_but_us_and_run_nothing_inline(client: httpx.AsyncClient, compared: str, page: str) -> None:
    await client.put(f"/v1/flags/{TASK}", json={"mode": "events"})
    answer = await client.get(f"/console{page}")
    assert answer.status_code == (404 if page == "/nothing" else 200)
    assert answer.headers["content-type"].startswith("text/html")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-frame-options"] == "DENY"
    assert "http://" not in answer.text.replace("http://gateway", "")
    assert "https://" not in answer.text
    assert " style=" not in answer.text
    assert " onclick" not in answer.text


@pytest.mark.parametrize(
    "page", ["/", f"/tasks/{quote(f'shop.{HOSTILE}', safe='')}", "/submissions/s1", "/?q=" + quote(HOSTILE), "/submissions"]
)
async def test_what_tasks_and_callers_say_is_text_and_nothing_else(client: httpx.AsyncClient, compared: str, page: str) -> None:
    answer = await client.get(f"/console{page}")
    assert answer.status_code == 200
    assert HOSTILE not in answer.text
    assert "&lt;script&gt;" in answer.text


async def test_what_needs_a_person_comes_first(client: httpx.AsyncClient, compared: str) -> None:
    await client.put("/v1/flags/cart.merge", json={"mode": "legacy"})
    text = (await client.get("/console/")).text
    assert text.index("tasks/cart.merge") < text.index("tasks/shop.%3Cscript") < text.index(f"tasks/{TASK}")


async def test_a_search_that_fits_nothing_says_so(client: httpx.AsyncClient) -> None:
    assert "No task fits this search" in (await client.get("/console/?q=nobody")).text


async def test_a_button_rolls_a_task_back_under_a_reason(client: httpx.AsyncClient, gateway: MemoryGateway) -> None:
    await client.put(f"/v1/flags/{TASK}", json={"mode": "events"})
    answer = await client.post(f"/console/tasks/{TASK}/rollback", data={"reason": "mails twice"}, headers=HERE)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/console/tasks/{TASK}")
    snapshot = gateway.flags.snapshot
    assert (snapshot.flags[TASK].mode, snapshot.source, snapshot.reason) == ("legacy", "console", "mails twice")
    assert "mails twice" in (await client.get(f"/console/tasks/{TASK}")).text


async def test_all_flags_go_back_to_a_version(client: httpx.AsyncClient, gateway: MemoryGateway) -> None:
    for mode in ("events", "legacy"):
        await client.put(f"/v1/flags/{TASK}", json={"mode": mode})
    await client.post("/console/flags/rollback", data={"to_version": "1"}, headers=HERE)
    assert (gateway.flags.snapshot.version, gateway.flags.snapshot.flags[TASK].mode) == (3, "events")


@pytest.mark.parametrize(
    "headers", [{}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "http://evil.example"}]
)
async def test_another_site_changes_nothing(client: httpx.AsyncClient, gateway: MemoryGateway, headers: dict[str, str]) -> None:
    await client.put(f"/v1/flags/{TASK}", json={"mode": "events"})
    answer = await client.post(f"/console/tasks/{TASK}/rollback", headers=headers)
    assert answer.status_code == 403
    assert gateway.flags.snapshot.version == 1


async def test_a_dead_letter_goes_only_for_a_reason(client: httpx.AsyncClient, gateway: MemoryGateway) -> None:
    answer = await client.post("/console/dead-letters/nowhere/1/discard", headers=HERE)
    assert answer.status_code == 404
    assert "no dead letter" in answer.text


async def test_a_form_too_large_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post(f"/console/tasks/{TASK}/rollback", data={"reason": "x" * 30_000}, headers=HERE)
    assert answer.status_code == 413


@pytest.mark.parametrize("path", ["../page.py", "%2e%2e/page.py", "..%2fpage.py", "vendor/../../page.py"])
async def test_only_the_consoles_own_files_are_served(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(f"/console/static/{path}")
    assert answer.status_code == 404
    assert "import" not in answer.text


async def test_without_the_ledger_the_pages_say_so_and_a_rollback_works(
    client: httpx.AsyncClient, gateway: MemoryGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object, **__: object) -> None:
        raise StoreUnavailable("no connection")

    await client.put(f"/v1/flags/{TASK}", json={"mode": "events"})
    for name in ("shadow_report", "standing", "activity", "step_evidence"):
        monkeypatch.setattr(gateway.ledger, name, away)
    for page in ("/", f"/tasks/{TASK}"):
        answer = await client.get(f"/console{page}")
        assert answer.status_code == 200
        assert "The ledger is out of reach" in answer.text
    await client.post(f"/console/tasks/{TASK}/rollback", headers=HERE)
    assert gateway.flags.snapshot.flags[TASK].mode == "legacy"


async def test_a_step_forward_without_evidence_is_refused_with_the_reason(client: httpx.AsyncClient, gateway: MemoryGateway) -> None:
    await client.put(f"/v1/flags/{TASK}", json={"mode": "shadow", "shadow_percent": 5, "safety": "sandboxed"})
    refused = await client.post(f"/console/tasks/{TASK}/promote", headers=HERE)
    assert refused.status_code == 409
    assert gateway.flags.snapshot.version == 1
    forced = await client.post(f"/console/tasks/{TASK}/promote", data={"force": "yes", "reason": "a drill"}, headers=HERE)
    assert forced.status_code == 303
    assert gateway.flags.snapshot.flags[TASK].shadow_share == 100_000


async def test_a_held_task_is_released_by_the_same_button(client: httpx.AsyncClient, gateway: MemoryGateway) -> None:
    await client.put(f"/v1/flags/{TASK}", json={"mode": "shadow", "shadow_percent": 5, "safety": "sandboxed"})
    for held in (True, False):
        await client.post(f"/console/tasks/{TASK}/hold", data={"held": "yes" if held else "no"}, headers=HERE)
        assert gateway.flags.snapshot.flags[TASK].held is held


async def test_open_breakers_come_first_and_say_for_how_long(client: httpx.AsyncClient, gateway: MemoryGateway) -> None:
    assert "No event worker has asked for a circuit" in (await client.get("/console/breakers")).text
    await gateway.breakers.failed("address.check", 5, 30.0)
    await gateway.breakers.failed(HOSTILE, 1, 30.0)
    text = (await client.get("/console/breakers")).text
    assert text.index("&lt;script") < text.index("Not called for another") < text.index("address.check")
    assert "1 of 5 failures in a row" in text
    assert HOSTILE not in text


async def test_a_form_submits_what_was_filled_in_and_leads_to_it(client: httpx.AsyncClient, gateway: MemoryGateway) -> None:
    form = (await client.get(f"/console/tasks/{TASK}/submit")).text
    assert 'name="order_id"' in form
    wrong = await client.post(f"/console/tasks/{TASK}/submit", data={"order_id": "seven", "email": "a@b.c"}, headers=HERE)
    assert wrong.status_code == 422
    assert "should be a whole number" in wrong.text
    assert 'value="seven"' in wrong.text
    refused = await client.post(
        f"/console/tasks/{TASK}/submit", data={"order_id": "7", "email": "a", "option.countdown": "1e12"}, headers=HERE
    )
    assert refused.status_code == 422
    filled = {"order_id": "7", "email": "a@b.c", "notify": "false", "option.cohort_key": "acme"}
    answer = await client.post(f"/console/tasks/{TASK}/submit", data=filled, headers=HERE)
    assert answer.status_code == 303
    await gateway.comparator.start()
    view = await gateway.services.read.view(answer.headers["location"].rpartition("/")[2])
    assert view.submission.kwargs == {"order_id": 7, "email": "a@b.c", "notify": False}
    assert view.submission.cohort_key == "acme"


async def test_submitting_again_says_that_it_is_a_new_submission(client: httpx.AsyncClient, gateway: MemoryGateway) -> None:
    await gateway.comparator.start()
    first = (await client.post("/v1/tasks", json={"task": TASK, "args": [7, "a@b.c"]})).json()["id"]
    page = (await client.get(f"/console/submissions/{first}")).text
    assert "as a new submission" in page
    answer = await client.post(f"/console/submissions/{first}/again", headers=HERE)
    assert (answer.status_code, first in answer.headers["location"].partition("?")[0]) == (303, False)
    again = (await client.get(answer.headers["location"])).text
    assert "This is a new submission with the arguments of" in again
    assert (await client.get(f"/console/tasks/{TASK}/submit?from={first}")).text.count('value="7"') == 1


async def test_a_whole_id_leads_to_its_submission_and_a_part_of_it_finds_it(client: httpx.AsyncClient, compared: str) -> None:
    answer = await client.get("/console/submissions?id=s1")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/submissions/s1")
    assert "/console/submissions/s1" in (await client.get("/console/submissions?id=s&verdict=differs")).text
    assert "No submission on record fits this" in (await client.get("/console/submissions?id=s&verdict=same")).text


async def test_a_difference_shows_both_sides_and_leads_from_sample_to_sample(
    client: httpx.AsyncClient, gateway: MemoryGateway, compared: str
) -> None:
    await gateway.ledger.append([a_record("s2", task=HOSTILE_TASK)], arrived_at=NOON)
    await gateway.ledger.store([a_comparison("s2", Verdict.DIFFERENT_VALUE, a_difference(authority=1, shadow=2), task=HOSTILE_TASK)])
    url = await the_difference(gateway)
    first, second = (await client.get(url)).text, (await client.get(f"{url}?sample=2")).text
    assert "sample 1 of 2" in first
    assert 'rel="next"' in first
    assert "<mark>" in first
    assert 'rel="prev"' in second
    assert HOSTILE not in first + second
    assert (await client.get("/console/differences/unknown")).status_code == 404


async def test_what_people_say_of_a_difference_is_kept(client: httpx.AsyncClient, gateway: MemoryGateway, compared: str) -> None:
    url = await the_difference(gateway)
    answer = await client.post(url, data={"triage": "known", "note": "ids", "from": "difference"}, headers=HERE)
    assert answer.headers["location"] == url
    assert "called it known" in (await client.get(url)).text


async def test_a_rule_shows_what_it_hides_before_it_is_saved(tmp_path: Path) -> None:
    async with memory_gateway(rules_dir=tmp_path) as gateway, a_client(gateway) as client:
        await gateway.ledger.append([a_record("s1", task=TASK)], arrived_at=NOON)
        await gateway.ledger.store([a_comparison("s1", Verdict.DIFFERENT_VALUE, a_difference(), task=TASK)])
        url = await the_difference(gateway)
        form = {"kind": "ignore", "path": "/value/total", "id": "cents", "owner": "shop", "reason": "rounds later"}
        asked = (await client.post(f"{url}/rule", data={**form, "do": "preview"}, headers=HERE)).text
        assert "It would hide a difference in 1 of the latest 1" in asked
        assert "path: /value/total" in asked
        assert list(tmp_path.iterdir()) == []
        unowned = await client.post(f"{url}/rule", data={**form, "owner": "", "do": "save"}, headers=HERE)
        assert (unowned.status_code, list(tmp_path.iterdir())) == (422, [])
        shown = {"shown": SHOWN.findall(asked)[0]}
        for other in ({}, {**shown, "path": "/value/**"}, {**shown, "reason": "noise"}, {**shown, "expires": "2999-01-01"}, {"shown": "é"}):
            refused = await client.post(f"{url}/rule", data={**form, **other, "do": "save"}, headers=HERE)
            assert (refused.status_code, list(tmp_path.iterdir())) == (409, []), other
            assert "this is not what you were shown before" in refused.text
            assert "It would hide a difference in" in refused.text
        # What that page shows can be saved from it.
        assert SHOWN.findall(refused.text) == SHOWN.findall(asked)
        saved = await client.post(f"{url}/rule", data={**form, **shown, "do": "save"}, headers=HERE)
        assert saved.status_code == 303
        assert "The rule is in" in (await client.get(saved.headers["location"])).text
        assert load_rules(tmp_path).for_task(TASK).ignore[0].owner == "shop"


async def test_where_rules_cannot_be_written_their_text_is_there_to_be_copied(tmp_path: Path) -> None:
    async with memory_gateway(rules_dir=tmp_path / "absent") as gateway, a_client(gateway) as client:
        await gateway.ledger.append([a_record("s1", task=TASK)], arrived_at=NOON)
        await gateway.ledger.store([a_comparison("s1", Verdict.DIFFERENT_VALUE, a_difference(), task=TASK)])
        url = await the_difference(gateway)
        form = {"kind": "ignore", "path": "/value/total", "id": "cents", "owner": "shop", "reason": "rounds later"}
        asked = (await client.post(f"{url}/rule", data={**form, "do": "preview"}, headers=HERE)).text
        assert "this gateway may not write theirs" in asked
        assert 'value="save"' not in asked
        sent = {**form, "shown": SHOWN.findall(asked)[0], "do": "save"}
        refused = await client.post(f"{url}/rule", data=sent, headers=HERE)
        assert (refused.status_code, "by hand" in refused.text) == (409, True)


async def test_charts_are_given_with_the_changes_of_the_flag(client: httpx.AsyncClient, gateway: MemoryGateway) -> None:
    await client.put(f"/v1/flags/{TASK}", json={"mode": "events"})
    now = gateway.services.now()
    await gateway.ledger.append([an_outcome("s1", task=TASK, started_at=now)], arrived_at=now)
    data = (await client.get(f"/console/tasks/{TASK}/activity")).json()
    assert (data["window"], sum(data["legacy"]), data["marks"][0]["version"]) == ("3 h", 1, 1)
    assert (await client.get(f"/console/tasks/{TASK}/activity?window=7 d")).json()["step_s"] == 3600


async def test_ticked_dead_letters_are_replayed_together_and_discarded_for_a_reason_only(
    client: httpx.AsyncClient, gateway: MemoryGateway
) -> None:
    for n in range(3):
        message = Message(body=b"{}", message_id=f"m-{n}", headers={"dualrun-dead-reason": HOSTILE, "cloudEvents:type": TASK})
        await gateway.broker.publish("", f"{EVENTS_QUEUE}.dead", message)
    page = (await client.get("/console/dead-letters")).text
    assert page.count('name="letter"') == 3
    assert HOSTILE not in page
    assert "3 dead letters" in (await client.get("/console/")).text
    unsaid = await client.post(
        "/console/dead-letters/discard", data={"service": "shop", "letter": f"{EVENTS_QUEUE}.dead/m-0"}, headers=HERE
    )
    assert unsaid.status_code == 422
    ticked = [f"{EVENTS_QUEUE}/m-{n}" for n in (0, 2)]
    gone = await client.post("/console/dead-letters/replay", data={"service": "shop", "letter": ticked}, headers=HERE)
    assert gone.headers["location"].startswith("/console/dead-letters?service=shop&replayed=2&")
    assert "2 messages sent back to their queues." in (await client.get(gone.headers["location"])).text
    # What a link says that nobody here wrote is not told as done.
    for forged in ("replayed=2", gone.headers["location"].partition("?")[2].replace("replayed=2", "replayed=5000")):
        assert "sent back" not in (await client.get(f"/console/dead-letters?{forged}")).text
    assert (await gateway.depths())[EVENTS_QUEUE] == 2
    await client.post(
        "/console/dead-letters/discard", data={"service": "shop", "letter": f"{EVENTS_QUEUE}/m-1", "reason": "old"}, headers=HERE
    )
    assert "None: every message of" in (await client.get("/console/dead-letters?service=shop")).text


async def test_queues_and_workers_say_who_takes_what(client: httpx.AsyncClient, gateway: MemoryGateway) -> None:
    await client.post("/v1/tasks", json={"task": TASK, "args": [7, "a@b.c"]})
    text = (await client.get("/console/workers")).text
    assert "nobody takes it" in text
    assert "events-1" in text
    await gateway.broker.close()
    assert "The broker cannot be asked now" in (await client.get("/console/workers")).text
    await gateway.broker.connect()


async def test_a_fault_of_the_gateway_is_a_page_that_quotes_nothing(gateway: MemoryGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(*_: object, **__: object) -> None:
        raise RuntimeError("password=hunter2")

    monkeypatch.setattr(gateway.ledger, "search", fails)
    transport = httpx.ASGITransport(create_application(gateway.services, console=create_console), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        answer = await client.get("/console/submissions")
    assert answer.status_code == 500
    assert "Something went wrong here" in answer.text
    assert "hunter2" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]


async def the_difference(gateway: MemoryGateway) -> str:
    report = await gateway.ledger.shadow_report(ReportScope(), now=NOON)
    return f"/console/differences/{report.tasks[0].groups[0].fingerprint}"


def a_client(gateway: MemoryGateway) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(create_application(gateway.services, console=create_console))
    return httpx.AsyncClient(transport=transport, base_url="http://gateway")

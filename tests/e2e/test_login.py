"""Somebody on call logs in on a phone, rolls back, reads who did what, and logs out: a real gateway, a real browser."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from gateway.console.charts import WINDOWS
from tests.support.access import ADMIN_TOKEN, bearer
from tests.support.browser import DESKTOP, PHONE, visiting
from tests.support.processes import Process, free_port

pytestmark = [pytest.mark.e2e, pytest.mark.services, pytest.mark.timeout(120)]

TASK = "mail.send"
READING = {"Show", "Compare", *(window.name for window in WINDOWS)}
"""Buttons that ask for another view of a page."""
PAGES = {
    f"/console/?q={TASK}": ["Roll back"],
    f"/console/tasks/{TASK}": ["Roll back to legacy", "Promote", "Hold here"],
    "/console/flags": ["Everything back to legacy"],
    "/console/flags/1": ["Back to this version"],
}
"""What an operator may press there."""


@pytest.fixture
def gateway(amqp_url: str, redis_url: str, redis_prefix: str, tmp_path: Path) -> Iterator[tuple[str, Process]]:
    port = free_port()
    env = {
        "DUALRUN_AMQP_URL": amqp_url,
        "DUALRUN_REDIS_URL": redis_url,
        "DUALRUN_REDIS_PREFIX": redis_prefix,
        "DUALRUN_LEDGER_URL": f"sqlite:///{tmp_path}/ledger.sqlite",
        "DUALRUN_STATE_DIR": str(tmp_path / "state"),
        "DUALRUN_ACCESS": "required",
        "DUALRUN_ADMIN_TOKEN": ADMIN_TOKEN,
    }
    command = [sys.executable, "-m", "gateway.cli.main", "gateway", "--port", str(port)]
    with Process("gateway", command, env=env) as running:
        running.wait_for_http(f"http://127.0.0.1:{port}/healthz")
        yield f"http://127.0.0.1:{port}", running


def test_a_session_is_begun_with_a_token_used_and_ended(gateway: tuple[str, Process]) -> None:
    url, process = gateway
    with visiting(url, PHONE) as visit:
        page = visit.page
        page.goto("/console/flags")
        expect(page).to_have_url(f"{url}/console/login?next=/console/flags")
        visit.check_accessibility()
        visit.check_width()
        page.get_by_label("Access token").fill(ADMIN_TOKEN)
        page.get_by_role("button", name="Log in").click()
        expect(page).to_have_url(f"{url}/console/flags")
        page.get_by_label("Reason").fill("mails twice")
        page.get_by_role("button", name="Everything back to legacy").click()
        expect(page.get_by_text("mails twice")).to_be_visible()
        page.goto("/console/audit?action=flags.rollback")
        expect(page.get_by_role("listitem").filter(has_text="mails twice")).to_contain_text("environment-admin")
        visit.check_accessibility()
        visit.check_width()
        page.get_by_role("button", name="Log out").click()
        expect(page).to_have_url(f"{url}/console/login")
        page.goto("/console/")
        expect(page).to_have_url(f"{url}/console/login?next=/console/")
    assert ADMIN_TOKEN not in process.output


def test_a_reader_sees_no_button_that_would_refuse_them_and_an_operator_sees_them_all(gateway: tuple[str, Process]) -> None:
    url, _ = gateway
    with httpx.Client(base_url=url, headers=bearer(ADMIN_TOKEN)) as admin:
        for share in (5, 6):
            flag = {"mode": "shadow", "shadow_percent": share, "safety": "pure", "force": True, "reason": "a test"}
            admin.put(f"/v1/flags/{TASK}", json=flag).raise_for_status()
        tokens = {may: admin.post("/v1/tokens", json={"name": may, "permissions": [may]}).json()["token"] for may in ("view", "operate")}
    seen = {may: buttons_of_each_page(url, token) for may, token in tokens.items()}
    assert seen["view"] == {page: [] for page in PAGES}
    assert seen["operate"] == PAGES


def buttons_of_each_page(url: str, token: str) -> dict[str, list[str]]:
    """The buttons that change something, by page, as a browser shows them in a session of this token."""
    with visiting(url, DESKTOP) as visit:
        page = visit.page
        page.goto("/console/login")
        page.get_by_label("Access token").fill(token)
        page.get_by_role("button", name="Log in").click()
        expect(page).to_have_url(f"{url}/console/")
        return {path: buttons(page, path) for path in PAGES}


def buttons(page: Page, path: str) -> list[str]:
    page.goto(path)
    expect(page.get_by_role("button", name="Log out")).to_be_visible()
    return [text for text in page.locator("main button:visible").all_inner_texts() if text not in READING]

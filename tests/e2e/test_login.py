"""Somebody on call logs in on a phone, rolls back, reads who did what, and logs out: a real gateway, a real browser."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.support.access import ADMIN_TOKEN
from tests.support.browser import PHONE, visiting
from tests.support.processes import Process, free_port

pytestmark = [pytest.mark.e2e, pytest.mark.services, pytest.mark.timeout(120)]


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

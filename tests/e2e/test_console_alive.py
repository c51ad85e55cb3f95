"""Live pages in a real browser: what keeps them so, what pauses them, and what they say when they are not."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.access import ADMIN_TOKEN, bearer
from tests.support.browser import DESKTOP, chromium, visiting
from tests.support.gateway_parts import TASK
from tests.support.gateway_server import GatewayServer, running_gateway
from tests.support.tcp_proxy import proxied

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

TASK_PAGE = f"/console/tasks/{TASK}"
CONNECTIONS_OF_A_HOST = 6
"""So many a browser opens to one host by HTTP/1.1."""
# A browser without a screen shows every page at once: what it would tell a page in the background is told here.
HIDE = "Object.defineProperty(document, 'hidden', {configurable: true, value: true}); document.dispatchEvent(new Event('visibilitychange'))"
SHOW = "delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def gateway() -> Iterator[GatewayServer]:
    with running_gateway() as server:
        put_flag(server, 1)
        yield server


def put_flag(gateway: GatewayServer, percent: float) -> None:
    httpx.put(f"{gateway.url}/v1/flags/{TASK}", json={"mode": "canary", "events_percent": percent}).raise_for_status()


def swap(page: Page) -> None:
    """Have the live part asked for now, and wait until its answer was dealt with."""
    page.evaluate(
        "() => new Promise((done) => { document.addEventListener('htmx:afterRequest', () => setTimeout(done, 50), {once: true});"
        " htmx.trigger('#live', 'refresh'); })"
    )


def test_more_tabs_than_a_browser_has_connections_all_answer_while_one_is_looked_at(gateway: GatewayServer, browser: Browser) -> None:
    context = browser.new_context(base_url=gateway.url)
    tabs = []
    for _ in range(CONNECTIONS_OF_A_HOST + 1):
        page = context.new_page()
        page.on("dialog", lambda dialog: dialog.accept())
        page.goto(TASK_PAGE, timeout=10_000)
        expect(page.get_by_text("live", exact=True)).to_be_visible()
        tabs.append(page)
        page.evaluate(HIDE)
    last = tabs[-1]
    last.evaluate(SHOW)
    last.get_by_role("button", name="Roll back to legacy").click()
    expect(last.locator('[aria-current="step"]')).to_have_text("legacy")
    first = tabs[0]
    expect(first.locator('[aria-current="step"]')).to_have_text("canary 1 %")
    first.evaluate(SHOW)  # what it missed is asked for at once
    expect(first.locator('[aria-current="step"]')).to_have_text("legacy", timeout=4_000)
    put_flag(gateway, 1)
    expect(first.locator('[aria-current="step"]')).to_have_text("canary 1 %", timeout=4_000)
    context.close()


def test_a_page_whose_gateway_has_stopped_without_a_word_says_so_and_comes_back(gateway: GatewayServer, browser: Browser) -> None:
    with proxied(gateway.url, 80) as (proxy, url), visiting(url, DESKTOP, browser=browser) as visit:
        page = visit.page
        page.goto(TASK_PAGE)
        expect(page.get_by_text("live", exact=True)).to_be_visible()
        assert 0 < page.evaluate("htmx.config.timeout") <= 10_000
        page.evaluate("htmx.config.timeout = 500")
        proxy.freeze()
        page.evaluate(SHOW)  # asks at once, and need not wait for the next turn
        expect(page.get_by_text("Not live since")).to_be_visible()
        expect(page.get_by_text("live", exact=True)).to_be_hidden()
        proxy.thaw()
        page.evaluate(SHOW)
        expect(page.get_by_text("Not live since")).to_be_hidden()
        visit.errors.clear()  # htmx notes the requests nobody answered


def test_a_focused_button_does_not_stop_the_page_and_keeps_the_focus(gateway: GatewayServer, browser: Browser) -> None:
    with visiting(gateway.url, DESKTOP, browser=browser) as visit:
        page = visit.page
        page.goto(TASK_PAGE)
        button = page.get_by_role("button", name="Roll back to legacy")
        button.focus()
        expect(page.get_by_text("live", exact=True)).to_be_visible()
        put_flag(gateway, 7)
        expect(page.locator('[aria-current="step"]')).to_have_text("canary 7 %")
        expect(button).to_be_focused()


def test_a_field_that_is_edited_pauses_the_page_and_it_says_so(gateway: GatewayServer, browser: Browser) -> None:
    with visiting(gateway.url, DESKTOP, browser=browser) as visit:
        page = visit.page
        page.goto(TASK_PAGE)
        reason = page.get_by_role("region", name="Where it stands").get_by_role("textbox", name="Reason")
        reason.fill("mails tw")
        expect(page.get_by_text("paused while you type")).to_be_visible()
        expect(page.get_by_text("live", exact=True)).to_be_hidden()
        put_flag(gateway, 7)
        swap(page)
        expect(reason).to_have_value("mails tw")
        reason.fill("")
        reason.blur()
        expect(page.get_by_text("live", exact=True)).to_be_visible()
        swap(page)
        expect(page.locator('[aria-current="step"]')).to_have_text("canary 7 %")


def test_selected_text_stays_selected_and_the_page_says_that_it_waits(gateway: GatewayServer, browser: Browser) -> None:
    with visiting(gateway.url, DESKTOP, browser=browser) as visit:
        page = visit.page
        page.goto(TASK_PAGE)
        page.evaluate("document.getSelection().selectAllChildren(document.querySelector('#live h1'))")
        expect(page.get_by_text("paused while text is selected")).to_be_visible()
        swap(page)
        assert TASK in page.evaluate("document.getSelection().toString()")
        page.evaluate("document.getSelection().removeAllRanges()")
        expect(page.get_by_text("live", exact=True)).to_be_visible()


def test_a_summary_and_a_region_that_scrolls_keep_the_focus_when_the_page_is_written_anew(gateway: GatewayServer, browser: Browser) -> None:
    with visiting(gateway.url, DESKTOP, browser=browser) as visit:
        page = visit.page
        page.goto("/console/workers")
        for kept in (page.locator("details summary").nth(1), page.get_by_role("region", name="Every queue")):
            kept.focus()
            page.evaluate("document.activeElement.dataset.before = 'the swap'")
            swap(page)
            expect(kept).not_to_have_attribute("data-before", "the swap")
            expect(kept).to_be_focused()


def test_a_page_whose_session_has_ended_leads_to_the_login_page_and_what_is_sent_then_changes_nothing(browser: Browser) -> None:
    with (
        running_gateway(access="required", admin_token=ADMIN_TOKEN) as gateway,
        httpx.Client(base_url=gateway.url, headers=bearer(ADMIN_TOKEN)) as administrator,
        visiting(gateway.url, DESKTOP, browser=browser) as visit,
    ):
        administrator.put(f"/v1/flags/{TASK}", json={"mode": "canary", "events_percent": 1}).raise_for_status()
        page = visit.page
        for ends in ("by itself", "with a form"):
            made = administrator.post("/v1/tokens", json={"name": "ann", "permissions": ["operate"]}).raise_for_status().json()
            page.goto("/console/login?next=/console/%3Fq%3Dorder")
            page.get_by_label("Access token").fill(made["token"])
            page.get_by_role("button", name="Log in").click()
            expect(page).to_have_url(f"{gateway.url}/console/?q=order")
            administrator.delete(f"/v1/tokens/{made['id']}").raise_for_status()
            if ends == "by itself":
                page.evaluate(SHOW)
            else:
                page.get_by_role("button", name=f"Roll back {TASK}").click()
                expect(page.get_by_text("nothing was changed")).to_be_visible()
            expect(page).to_have_url(re.compile(r"/console/login\?next=/console/%3Fq%3Dorder"))
        assert administrator.get(f"/v1/flags/{TASK}").json()["mode"] == "canary"
        visit.errors.clear()  # the browser notes what was answered with 401


def test_single_key_shortcuts_can_be_turned_off_and_stay_off(gateway: GatewayServer, browser: Browser) -> None:
    with visiting(gateway.url, DESKTOP, browser=browser) as visit:
        page = visit.page
        page.goto("/console/")
        search = page.get_by_label("Name", exact=True)
        page.keyboard.press("/")
        expect(search).to_be_focused()
        page.get_by_label("Keys: j and k").uncheck()
        page.reload()
        expect(page.get_by_label("Keys: j and k")).not_to_be_checked()
        page.keyboard.press("/")
        expect(search).not_to_be_focused()
        visit.check_accessibility()

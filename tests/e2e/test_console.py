"""An operator's walk through the console in a real browser, on a desk and on a phone."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from gateway.console.charts import WINDOWS
from tests.support.access import ADMIN_TOKEN, bearer
from tests.support.browser import DESKTOP, PHONE, Visit, chromium, visiting
from tests.support.processes import REPOSITORY, Process, free_port

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

TASK = "product.update_stock"  # its handler loses the caller's reason
TASK_PAGE = f"/console/tasks/{TASK}"
SHADOW = {"mode": "shadow", "shadow_percent": 100, "safety": "sandboxed", "gate": None}
CANARY = {
    "mode": "canary",
    "events_percent": 50,
    "shadow_percent": 100,
    "safety": "sandboxed",
    "gate": {"steps": ["shadow 100 %", "canary 50 %", "events"], "mismatch_percent": 5, "soak_s": 0},
}
RETURNED = {"task": TASK, "args": [1, 1, "returned"]}
PAIRS = 12
SLOW_MS = 30_000


@dataclass(frozen=True, slots=True)
class Stack:
    """A running gateway that asks for tokens, and two of them."""

    url: str
    operator: str
    reader: str


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Everything in one process, its handlers faulty, with pairs compared; rules are kept in a folder it may write to."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    place = tmp_path_factory.mktemp("console")
    (place / "config" / "rules").mkdir(parents=True)
    command = [sys.executable, "-m", "gateway.cli.main", "run", "--port", str(port)]
    env = {
        "PYTHONPATH": str(REPOSITORY),
        "DUALRUN_HANDLERS": "tests.support.dying_handlers",
        "DUALRUN_GATE_INTERVAL_S": "0.2",
        "DUALRUN_ACCESS": "required",
        "DUALRUN_ADMIN_TOKEN": ADMIN_TOKEN,
    }
    administrator = httpx.Client(base_url=url, headers=bearer(ADMIN_TOKEN), timeout=20.0)
    with Process("dualrun run", command, env=env, cwd=place) as running, administrator as gateway:
        running.wait_for_output("Ctrl-C stops and drains")
        operator, reader = (token(gateway, name, may) for name, may in (("ann", ["operate", "submit"]), ("bob", ["view"])))
        stack = Stack(url, operator, reader)
        put_flag(stack, SHADOW)
        gateway.put("/v1/flags/console.bury", json={"mode": "events"}).raise_for_status()
        gateway.post("/v1/tasks/batch", json={"tasks": [RETURNED] * PAIRS}).raise_for_status()
        running.wait_until(lambda: compared(gateway) >= PAIRS, "every pair compared")
        yield stack


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


def compared(gateway: httpx.Client) -> int:
    tasks = gateway.get(f"/v1/reports/shadow/{TASK}", params={"format": "json"}).json()["tasks"]
    return sum(sum(task["counts"].values()) for task in tasks)


def token(administrator: httpx.Client, name: str, permissions: list[str]) -> str:
    answer = administrator.post("/v1/tokens", json={"name": name, "permissions": permissions})
    return str(answer.raise_for_status().json()["token"])


def put_flag(stack: Stack, flag: dict[str, object]) -> None:
    wanted = {**flag, "force": True, "reason": "a walk begins"}
    answer = httpx.put(f"{stack.url}/v1/flags/{TASK}", json=wanted, headers=bearer(stack.operator))
    assert answer.is_success, answer.text


def come_in(visit: Visit, token: str, path: str = "/console/") -> Page:
    """The page of that path, in a session of its own: where a walk begins."""
    visit.page.goto(path)
    log_in(visit.page, token)
    expect(visit.page).to_have_url(re.compile(f"{re.escape(path)}$"))
    return visit.page


def log_in(page: Page, token: str) -> None:
    """At the page strangers are led to."""
    page.get_by_label("Access token").fill(token)
    page.get_by_role("button", name="Log in").click()


def look_around(visit: Visit) -> None:
    visit.check_accessibility()
    visit.check_width()


def open_task(visit: Visit) -> Page:
    visit.page.goto(TASK_PAGE)
    return visit.page


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desk", "phone"])
def test_an_operator_submits_reads_a_planted_difference_and_makes_a_rule(stack: Stack, browser: Browser, size: tuple[int, int]) -> None:
    put_flag(stack, SHADOW)
    with visiting(stack.url, size, browser=browser) as visit:
        page = visit.page
        page.goto("/")
        expect(page).to_have_url(f"{stack.url}/console/login?next=/console/")
        look_around(visit)
        log_in(page, stack.operator)
        expect(page).to_have_url(f"{stack.url}/console/")
        row = page.get_by_role("listitem").filter(has_text=TASK)
        expect(row).to_contain_text("differs")
        expect(row).to_contain_text("in 24 h")
        look_around(visit)

        row.get_by_role("link", name=TASK).click()
        expect(page.get_by_role("region", name="Over time")).to_contain_text("dashed lines are changes of its flag")
        expect(page.locator(".uplot canvas")).to_have_count(3)
        look_around(visit)

        page.get_by_role("link", name="Submit one").click()
        page.get_by_label("product_id").fill("one")
        page.get_by_label("quantity_delta").fill("1")
        look_around(visit)
        page.get_by_role("button", name="Submit").click()
        expect(page.get_by_text("should be a whole number")).to_be_visible()
        visit.errors.clear()  # the browser notes that the form was answered with 422
        page.get_by_label("product_id").fill("1")
        page.get_by_label("reason").fill("returned")
        page.get_by_role("button", name="Submit").click()
        expect(page.get_by_role("region", name="Decision")).to_contain_text("other effects", timeout=SLOW_MS)
        expect(page.get_by_role("region", name="Both values")).to_contain_text("returned")
        look_around(visit)

        open_task(visit).get_by_role("article").filter(has_text="/value/reason").get_by_role("link").click()
        expect(page.get_by_text("sample 1 of")).to_be_visible()
        expect(page.get_by_role("region", name="Both values").locator("mark").first).to_have_text("returned")
        expect(page.get_by_role("region", name="Effects")).to_contain_text("captured")
        look_around(visit)
        fits = "[...document.querySelectorAll('.diff')].map((one) => one.scrollWidth <= one.clientWidth)"
        assert set(page.evaluate(fits)) == {True}  # both sides are on the screen
        page.get_by_role("link", name="Next").click()
        expect(page.get_by_text("sample 2 of")).to_be_visible()
        page.get_by_role("combobox", name="This is").select_option("known")
        page.get_by_role("button", name="Say").click()
        expect(page.get_by_text("called it known")).to_be_visible()

        page.get_by_text("Make a rule").click()
        page.get_by_label("Owner").fill("shop")
        page.get_by_role("textbox", name="Reason").last.fill("nobody reads it")
        page.get_by_role("button", name="Show what it hides").click()
        preview = page.locator("#preview")
        expect(preview).to_contain_text("It would hide a difference in")
        expect(preview).to_contain_text("path: /value/reason")
        look_around(visit)
        path = page.get_by_label("Path")
        save = page.get_by_role("button", name="Save it to")
        shown = path.input_value()
        path.fill("/value/**")
        expect(save).to_be_hidden()
        expect(page.get_by_text("show again what it hides")).to_be_visible()
        path.fill(shown)
        expect(save).to_be_visible()
        assert "/rule" not in page.url  # what a reload asks for is a page
        if size == PHONE:
            page.get_by_role("button", name="Save it to").click()
            expect(page.get_by_text("Comparators follow within seconds")).to_be_visible()
            # Pairs on record are judged again in the background.
            wait_for_text(page, TASK_PAGE, "hidden by rules:")


def wait_for_text(page: Page, url: str, text: str) -> None:
    """Ask for a page until it says so."""
    ask = "async ([url, text]) => (await (await fetch(url)).text()).includes(text)"
    page.wait_for_function(ask, arg=[url, text], polling=300, timeout=SLOW_MS)


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desk", "phone"])
def test_an_operator_promotes_sees_the_gate_go_back_and_rolls_back_by_hand(stack: Stack, browser: Browser, size: tuple[int, int]) -> None:
    put_flag(stack, SHADOW)
    with visiting(stack.url, size, browser=browser) as visit:
        page = come_in(visit, stack.operator, TASK_PAGE)
        step = page.get_by_role("list", name="The way").locator('[aria-current="step"]')
        gate = page.get_by_role("region", name="The gate")
        expect(step).to_have_text("shadow 100 %")
        gate.get_by_label("without evidence").check()
        gate.get_by_role("textbox", name="Reason").fill("a drill")
        gate.get_by_role("button", name="Promote").click()
        expect(step).to_have_text("canary 1 %")

        put_flag(stack, CANARY)
        batch = {"tasks": [RETURNED] * 40}
        httpx.post(f"{stack.url}/v1/tasks/batch", json=batch, headers=bearer(stack.operator), timeout=20.0).raise_for_status()
        expect(step).to_have_text("legacy", timeout=SLOW_MS)  # seen without a reload
        page.reload()
        expect(page.get_by_role("region", name="Its flag's history")).to_contain_text("gate")
        look_around(visit)

        put_flag(stack, SHADOW)
        page.reload()
        page.get_by_role("region", name="Where it stands").get_by_role("textbox", name="Reason").fill("a cent is missing")
        page.keyboard.press("Tab")
        expect(page.get_by_role("button", name="Roll back to legacy")).to_be_focused()
        page.keyboard.press("Enter")
        expect(step).to_have_text("legacy")
        expect(page.get_by_role("region", name="Its flag's history")).to_contain_text("a cent is missing")


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desk", "phone"])
def test_an_operator_replays_a_dead_letter_and_submits_once_more(stack: Stack, browser: Browser, size: tuple[int, int]) -> None:
    with visiting(stack.url, size, browser=browser) as visit:
        page = come_in(visit, stack.operator, "/console/tasks/console.bury/submit")
        page.get_by_label("name").fill(f"on {size}")
        page.get_by_role("button", name="Submit").click()
        expect(page.get_by_role("region", name="Decision")).to_contain_text("succeeded", timeout=SLOW_MS)

        wait_for_text(page, "/console/dead-letters", "FirstTime")
        page.goto("/console/dead-letters")
        look_around(visit)
        page.get_by_label("all 1").check()
        page.get_by_role("button", name="Replay the ticked").click()
        expect(page.get_by_text("1 message sent back to its queue.")).to_be_visible()
        expect(page.get_by_text("None: every message of")).to_be_visible()

        page.goto("/console/submissions?task=console.bury&period=1 h")
        page.get_by_role("listitem").filter(has_text="console.bury").first.get_by_role("link").click()
        before = page.url
        page.get_by_role("button", name="Submit again").click()
        expect(page.get_by_text("This is a new submission with the arguments of")).to_be_visible()
        assert page.url.partition("?")[0] != before


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_other_page_can_be_read_by_everybody_on_a_phone(stack: Stack, browser: Browser, dark: bool) -> None:
    with visiting(stack.url, PHONE, dark=dark, browser=browser) as visit:
        come_in(visit, stack.operator)
        for page_path in ("flags", "flags/1", "dead-letters", "submissions?verdict=differs", "workers", "breakers"):
            visit.page.goto(f"/console/{page_path}")
            look_around(visit)


READING = {"Show", "Compare", "Find", "Log out", *(window.name for window in WINDOWS)}
"""Buttons that change nothing of the installation."""


def test_a_reader_sees_no_button_that_would_refuse_them_and_an_operator_sees_them_all(stack: Stack, browser: Browser) -> None:
    put_flag(stack, SHADOW)
    asked = httpx.get(f"{stack.url}/v1/differences", headers=bearer(stack.reader)).json()["groups"][0]
    pages = {
        f"/console/?q={TASK}": ["Roll back"],
        TASK_PAGE: ["Roll back to legacy", "Promote", "Hold here"],
        f"{TASK_PAGE}/submit": ["Submit"],
        f"/console/differences/{asked['fingerprint']}": ["Say"],
        f"/console/submissions/{asked['samples'][0]['submission_id']}": ["Submit again"],
        "/console/flags": ["Everything back to legacy"],
        "/console/flags/1": ["Back to this version"],
    }
    assert buttons(stack, browser, stack.operator, pages) == pages
    assert buttons(stack, browser, stack.reader, pages) == {page: [] for page in pages}


def buttons(stack: Stack, browser: Browser, token: str, pages: Iterable[str]) -> dict[str, list[str]]:
    """The buttons that change something, by page, as a browser shows them in a session of this token."""
    found = {}
    with visiting(stack.url, PHONE, browser=browser) as visit:
        page = come_in(visit, token)
        for path in pages:
            page.goto(path)
            if token == stack.reader:  # the walks look at the others
                look_around(visit)
            expect(page.get_by_role("button", name="Log out")).to_be_visible()
            found[path] = [text for text in page.locator("button:visible").all_inner_texts() if text not in READING]
    return found


def test_the_api_is_tried_out_with_nothing_from_another_host(stack: Stack, browser: Browser) -> None:
    # The visit fails for a request to elsewhere, and for whatever the page's policy refused.
    with visiting(stack.url, DESKTOP, browser=browser) as visit:
        page = come_in(visit, stack.operator)
        page.goto("/docs")
        operation = page.locator(".opblock").filter(has=page.get_by_text("/v1/catalogue", exact=True))
        operation.get_by_role("button").first.click()
        operation.get_by_role("button", name="Try it out").click()
        operation.get_by_role("button", name="Execute").click()
        expect(operation.locator(".live-responses-table")).to_contain_text(TASK, timeout=SLOW_MS)


def test_a_change_of_flags_shows_without_a_reload(stack: Stack, browser: Browser) -> None:
    put_flag(stack, SHADOW)
    with visiting(stack.url, DESKTOP, browser=browser) as visit:
        come_in(visit, stack.operator)
        row = visit.page.get_by_role("listitem").filter(has_text=TASK)
        expect(row).to_contain_text("shadow 100 %")
        put_flag(stack, {**SHADOW, "shadow_percent": 7})
        expect(row).to_contain_text("shadow 7 %")


def test_a_page_that_no_longer_hears_from_the_gateway_says_so(stack: Stack, browser: Browser) -> None:
    with visiting(stack.url, DESKTOP, browser=browser) as visit:
        come_in(visit, stack.operator)
        expect(visit.page.get_by_text("live", exact=True)).to_be_visible()
        visit.page.context.set_offline(True)
        expect(visit.page.get_by_text("Not live since")).to_be_visible(timeout=30_000)
        visit.page.context.set_offline(False)
        expect(visit.page.get_by_text("Not live since")).to_be_hidden(timeout=30_000)
        visit.errors.clear()  # the browser reports the requests that failed while it was offline

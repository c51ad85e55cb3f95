"""A real Chromium, one page of it, and what it must not do meanwhile."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, Request, expect, sync_playwright

__all__ = ["DESKTOP", "PHONE", "Visit", "chromium", "visiting"]

DESKTOP = (1280, 900)
PHONE = (390, 844)
_SERIOUS = {"serious", "critical"}
_PATIENCE_MS = 20_000


@dataclass(slots=True)
class Visit:
    """A page that notes its errors, its requests to others, and answers every question with yes."""

    page: Page
    errors: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    def check_accessibility(self) -> None:
        """Fails with what axe-core calls serious or critical."""
        found = Axe().run(self.page).response["violations"]
        serious = [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in _SERIOUS]
        assert not serious, f"{self.page.url}: {serious}"

    def check_width(self) -> None:
        """Fails where the page has to be moved sideways."""
        wide, shown = self.page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        assert wide <= shown, f"{self.page.url} is {wide} wide on a screen of {shown}"


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser for several visits: starting one takes longer than most of them."""
    path = os.environ.get("DUALRUN_TEST_CHROMIUM")
    if path is None:
        pytest.fail("these tests need Chromium: run them by `make test`, or set DUALRUN_TEST_CHROMIUM to its path")
    expect.set_options(timeout=_PATIENCE_MS)
    with sync_playwright() as playwright, playwright.chromium.launch(executable_path=path, args=["--no-sandbox"]) as browser:
        yield browser


@contextmanager
def visiting(base_url: str, size: tuple[int, int], *, dark: bool = False, browser: Browser | None = None) -> Iterator[Visit]:
    """One page at this size, in a browser of its own unless one is given.

    Leaving it fails if a script failed, or anything was asked of another host.
    """
    with ExitStack() as stack:
        browser = browser or stack.enter_context(chromium())
        page = browser.new_page(base_url=base_url, viewport={"width": size[0], "height": size[1]}, color_scheme="dark" if dark else "light")
        stack.callback(page.close)
        visit = Visit(page)
        host = urlsplit(base_url).netloc

        def note_request(request: Request) -> None:
            if urlsplit(request.url).netloc != host:
                visit.foreign.append(request.url)

        def note_error(message: ConsoleMessage) -> None:
            if message.type == "error":
                visit.errors.append(message.text)

        def agree(dialog: Dialog) -> None:
            dialog.accept()

        page.on("request", note_request)
        page.on("console", note_error)
        page.on("pageerror", lambda error: visit.errors.append(str(error)))
        page.on("dialog", agree)
        yield visit
        assert (visit.errors, visit.foreign) == ([], [])

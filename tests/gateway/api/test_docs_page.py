"""The page that tries out the API: from this gateway's own files, under the policy of the other pages."""

from __future__ import annotations

from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import httpx

from tests.support.access import guarded_gateway


class Asked(HTMLParser):
    """What a page has a browser load, and what it has it run."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.inline: list[str] = []
        self._tag = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._tag = tag
        self.loaded += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]
        self.inline += [name for name, _ in attrs if name == "style" or name.startswith("on")]

    def handle_data(self, data: str) -> None:
        if self._tag in ("script", "style") and data.strip():
            self.inline.append(data)


async def test_it_loads_only_files_of_its_own_host_that_strangers_get_too() -> None:
    async with guarded_gateway() as (_, client):
        answer = await client.get("/docs")
        page = Asked()
        page.feed(answer.text)
        assert (answer.status_code, page.inline) == (200, [])
        assert {path.rpartition("/")[2].partition("-5")[0] for path in page.loaded} >= {"swagger-ui", "swagger-ui-bundle", "api_docs.js"}
        for path in page.loaded:
            place = urljoin("http://gateway/docs", path)
            assert urlsplit(place).netloc == "gateway"
            assert (await client.get(place)).status_code == 200, path


async def test_its_policy_is_the_consoles_but_for_the_pictures_its_style_sheet_holds() -> None:
    async with guarded_gateway() as (_, client):
        policy, consoles = _policy(await client.get("/docs")), _policy(await client.get("/console/login"))
        assert policy.pop("img-src") == "'self' data:"
        assert consoles.pop("img-src") == "'self'"
        assert policy == consoles


async def test_nothing_is_left_of_the_frameworks_own_page() -> None:
    async with guarded_gateway(access="off") as (_, client):
        for path in ("/docs/oauth2-redirect", "/redoc"):
            assert (await client.get(path)).status_code == 404


def _policy(answer: httpx.Response) -> dict[str, str]:
    rules = (rule.strip().partition(" ") for rule in answer.headers["content-security-policy"].split(";"))
    return {name: sources for name, _, sources in rules}

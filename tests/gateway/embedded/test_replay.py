"""A shadow that starts after its authority reads what that was answered, in the single process too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.embedded.server import listen, serving
from gateway.embedded.stack import EmbeddedOptions, open_embedded
from tests.support.http_receiver import Answer, HttpReceiver, http_receiver

TASK = "bookings.book"
LEGACY = """
import os
import httpx
from celery import Celery

app = Celery("bookings", set_as_current=False)

@app.task(name="bookings.book", shared=False)
def book(seat):
    answer = httpx.post(os.environ["BOOKINGS_URL"], json={"seat": seat}, timeout=30.0).json()
    return answer.get("booking")
"""
HANDLERS = """
import os
import httpx
from event_handlers import handler

@handler("bookings.book")
async def book(seat: int) -> int | None:
    async with httpx.AsyncClient() as client:
        answer = (await client.post(os.environ["BOOKINGS_URL"], json={"seat": seat})).json()
    return answer.get("booking")
"""


@pytest.fixture
def bookings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpReceiver]:
    """The outside: it makes up a number for what is booked."""
    (tmp_path / "bookings_app.py").write_text(LEGACY)
    (tmp_path / "bookings_handlers.py").write_text(HANDLERS)
    monkeypatch.syspath_prepend(str(tmp_path))
    with http_receiver(Answer(201, body={"booking": 4711})) as receiver:
        monkeypatch.setenv("BOOKINGS_URL", receiver.url)
        yield receiver


@asynccontextmanager
async def _submitted(state_dir: Path, shadow_delay_s: int) -> AsyncIterator[Callable[[str], Awaitable[dict[str, Any]]]]:
    """Gives a function that waits until the submission's view has a member, and gives that."""
    options = EmbeddedOptions(state_dir=state_dir, celery_app="bookings_app:app", handlers="bookings_handlers", drain_s=5.0)
    flag = {"mode": "shadow", "shadow_percent": 100, "safety": "sandboxed", "shadow_delay_s": shadow_delay_s}
    async with open_embedded(options) as stack:
        with listen("127.0.0.1", 0) as listener:
            async with serving(stack, listener) as url, httpx.AsyncClient(base_url=url, timeout=30.0) as client:
                (await client.put(f"/v1/flags/{TASK}", json=flag)).raise_for_status()
                id_ = (await client.post("/v1/tasks", json={"task": TASK, "args": [9]})).raise_for_status().json()["id"]
                yield partial(_seen, client, id_)


async def _seen(client: httpx.AsyncClient, id_: str, member: str) -> dict[str, Any]:
    async with asyncio.timeout(30):
        while True:
            view: dict[str, Any] = (await client.get(f"/v1/tasks/{id_}")).json()
            if view.get(member):
                found: dict[str, Any] = view[member]
                return found
            await asyncio.sleep(0.05)


async def test_a_delayed_shadow_reads_the_answer_of_the_authoritys_write(tmp_path: Path, bookings: HttpReceiver) -> None:
    async with _submitted(tmp_path, shadow_delay_s=2) as seen:
        assert (await seen("comparison"))["verdict"] == "equal"
        assert (await seen("shadow"))["value"] == 4711
    assert len(bookings.received) == 1


async def test_a_shadow_that_runs_before_its_authority_ends_has_nothing_to_read(tmp_path: Path, bookings: HttpReceiver) -> None:
    bookings.answering.clear()
    async with _submitted(tmp_path, shadow_delay_s=0) as seen:
        assert (await seen("shadow"))["value"] is None
        bookings.answering.set()
        assert (await seen("comparison"))["verdict"] == "different_value"
    assert len(bookings.received) == 1

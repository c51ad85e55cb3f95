"""A shadow on a Celery worker: its effects are told, the outside sees none of them."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from dualrun.contracts import Role, State

if TYPE_CHECKING:
    from tests.legacy_celery.conftest import Shop

pytestmark = [pytest.mark.services, pytest.mark.e2e]


@pytest.fixture
def web() -> Iterator[tuple[str, list[str]]]:
    hits: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            hits.append(self.path)
            self.send_response(200)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", hits
    server.shutdown()
    thread.join()
    server.server_close()


def test_both_roles_report_the_same_effects_and_only_the_authority_has_any(shop: Shop, web: tuple[str, list[str]]) -> None:
    url, hits = web
    shadow = shop.submit("orders.notify", url, 7, role=Role.SHADOW)
    with shop.worker("-P", "prefork", "-c", "1"):
        first = shop.outcome_of(shadow)
        assert hits == []
        authority = shop.submit("orders.notify", url, 7)
        second = shop.outcome_of(authority)
        assert hits == ["/orders/7"]
    assert (first.role, second.role, first.state, second.state) == (Role.SHADOW, Role.AUTHORITY, State.SUCCEEDED, State.SUCCEEDED)
    assert [(e.kind, e.key, e.payload) for e in first.effects] == [(e.kind, e.key, e.payload) for e in second.effects]
    assert [(e.kind, e.key, e.payload) for e in second.effects] == [
        ("message", "orders.total", {"prices": ["1.00"], "currency": "USD"}),
        ("http", f"POST {url}/orders/7", {"body": {"status": "paid"}}),
    ]
    assert [e.performed for e in first.effects] == [False, False]
    assert [e.performed for e in second.effects] == [True, True]
    assert [span.name for span in first.spans] == [span.name for span in second.spans]


def test_a_shadow_may_retry(shop: Shop) -> None:
    submission = shop.submit("orders.flaky", 2, role=Role.SHADOW)
    with shop.worker("-P", "solo"):
        outcome = shop.outcome_of(submission)
    assert (outcome.state, outcome.attempts, outcome.role, outcome.effects) == (State.SUCCEEDED, 2, Role.SHADOW, ())

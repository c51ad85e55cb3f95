"""Sending a task through the gateway."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from legacy_celery.client import GatewayUnavailable, TaskRejected, send_celery_task


@dataclass
class Gateway:
    """Gives the answers it was told to, then accepts."""

    answers: list[tuple[int, dict[str, str], object]] = field(default_factory=list)
    requests: list[tuple[str, str | None, object]] = field(default_factory=list)


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    seen = Gateway()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            seen.requests.append((self.path, self.headers["idempotency-key"], body))
            status, headers, answer = seen.answers.pop(0) if seen.answers else (202, {}, {"id": "s-1"})
            encoded = json.dumps(answer).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(encoded)))
            self.end_headers()
            self.wfile.write(encoded)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    monkeypatch.setenv("DUALRUN_GATEWAY_URL", f"http://127.0.0.1:{server.server_address[1]}/")
    yield seen
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_task_is_submitted_and_its_id_given(gateway: Gateway) -> None:
    assert send_celery_task("auth.send", args=[1, "a"], kwargs={"b": None}, queue="slow") == "s-1"
    assert send_celery_task("auth.send") == "s-1"
    bodies = [body for _, _, body in gateway.requests]
    assert bodies == [
        {"task": "auth.send", "args": [1, "a"], "kwargs": {"b": None}, "queue": "slow"},
        {"task": "auth.send", "args": [], "kwargs": {}},
    ]
    assert {path for path, _, _ in gateway.requests} == {"/v1/tasks"}
    assert len({key for _, key, _ in gateway.requests}) == 2


@pytest.mark.parametrize("status", [503, 409])
def test_a_gateway_that_asks_for_it_is_tried_again_under_the_same_key(gateway: Gateway, status: int) -> None:
    gateway.answers = [(status, {"Retry-After": "0"}, {}), (status, {"Retry-After": "0"}, {})]
    assert send_celery_task("auth.send") == "s-1"
    assert len(gateway.requests) == 3
    assert len({key for _, key, _ in gateway.requests}) == 1


def test_a_mistake_is_raised_at_once_with_what_the_gateway_says(gateway: Gateway) -> None:
    errors = [{"pointer": "/args/0", "detail": "is not an integer"}]
    gateway.answers = [(422, {}, {"code": "invalid_arguments", "detail": "no", "errors": errors})]
    with pytest.raises(TaskRejected) as caught:
        send_celery_task("auth.send", args=["x"])
    assert (caught.value.status, caught.value.code, caught.value.errors) == (422, "invalid_arguments", tuple(errors))
    assert len(gateway.requests) == 1


def test_a_gateway_that_stays_away_is_an_error(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway.answers = [(503, {"Retry-After": "0"}, {})] * 4
    with pytest.raises(GatewayUnavailable):
        send_celery_task("auth.send")
    monkeypatch.setenv("DUALRUN_GATEWAY_URL", "http://127.0.0.1:1")
    with pytest.raises(GatewayUnavailable, match="refused"):
        send_celery_task("auth.send")


def test_an_answer_that_is_not_the_gateways_is_an_error(gateway: Gateway) -> None:
    gateway.answers = [(200, {}, ["hello"])]
    with pytest.raises(GatewayUnavailable):
        send_celery_task("auth.send")

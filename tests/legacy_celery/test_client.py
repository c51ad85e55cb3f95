"""Sending a task through the gateway."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from legacy_celery.client import GatewayUnavailable, TaskRejected, send_celery_task
from tests.support.http_receiver import Answer, HttpReceiver, http_receiver

ACCEPTED = Answer(202, body={"id": "s-1"})


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpReceiver]:
    """Gives the answers it was told to, then accepts."""
    with http_receiver(ACCEPTED) as receiver:
        monkeypatch.setenv("DUALRUN_GATEWAY_URL", f"{receiver.url}/")
        yield receiver


def test_a_task_is_submitted_and_its_id_given(gateway: HttpReceiver) -> None:
    assert send_celery_task("auth.send", args=[1, "a"], kwargs={"b": None}, queue="slow") == "s-1"
    assert send_celery_task("auth.send") == "s-1"
    assert [request.json for request in gateway.received] == [
        {"task": "auth.send", "args": [1, "a"], "kwargs": {"b": None}, "queue": "slow"},
        {"task": "auth.send", "args": [], "kwargs": {}},
    ]
    assert {request.path for request in gateway.received} == {"/v1/tasks"}
    assert len({request.headers["idempotency-key"] for request in gateway.received}) == 2


@pytest.mark.parametrize("status", [503, 409])
def test_a_gateway_that_asks_for_it_is_tried_again_under_the_same_key(gateway: HttpReceiver, status: int) -> None:
    gateway.answers = [Answer(status, {"Retry-After": "0"}, {})] * 2
    assert send_celery_task("auth.send") == "s-1"
    assert len(gateway.received) == 3
    assert len({request.headers["idempotency-key"] for request in gateway.received}) == 1


def test_a_mistake_is_raised_at_once_with_what_the_gateway_says(gateway: HttpReceiver) -> None:
    errors = [{"pointer": "/args/0", "detail": "is not an integer"}]
    gateway.answers = [Answer(422, body={"code": "invalid_arguments", "detail": "no", "errors": errors})]
    with pytest.raises(TaskRejected) as caught:
        send_celery_task("auth.send", args=["x"])
    assert (caught.value.status, caught.value.code, caught.value.errors) == (422, "invalid_arguments", tuple(errors))
    assert len(gateway.received) == 1


def test_a_gateway_that_stays_away_is_an_error(gateway: HttpReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway.answers = [Answer(503, {"Retry-After": "0"}, {})] * 4
    with pytest.raises(GatewayUnavailable):
        send_celery_task("auth.send")
    monkeypatch.setenv("DUALRUN_GATEWAY_URL", "http://127.0.0.1:1")
    with pytest.raises(GatewayUnavailable, match="refused"):
        send_celery_task("auth.send")


def test_an_answer_that_is_not_the_gateways_is_an_error(gateway: HttpReceiver) -> None:
    gateway.answers = [Answer(200, body=["hello"])]
    with pytest.raises(GatewayUnavailable):
        send_celery_task("auth.send")

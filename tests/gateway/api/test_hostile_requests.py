"""10,000 malformed or hostile requests: no 5xx, no hang, nothing published."""

from __future__ import annotations

import contextlib
import http.client
import json
import random
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.core.result import Ok

from dualrun.contracts.topology import RECORDS_QUEUE
from tests.support.gateway_parts import SHADOW_QUEUE, TASK
from tests.support.gateway_server import GatewayServer, running_gateway

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

HAND_MADE = 7_500
ENDLESS = {"GET /v1/events"}
"""Their answers have no end to wait for."""
GENERATED = 2_500
JSON = {"Content-Type": "application/json"}
Attack: TypeAlias = tuple[str, str, dict[str, str], bytes]
"""Method, path, headers, body."""


@pytest.fixture(scope="module")
def server() -> Iterator[GatewayServer]:
    with running_gateway() as server:
        yield server


def test_hand_made_requests_are_refused(server: GatewayServer) -> None:
    draw = random.Random(20_26)
    address = urlsplit(server.url)
    assert address.hostname is not None
    with contextlib.closing(http.client.HTTPConnection(address.hostname, address.port, timeout=20)) as connection:
        for _ in range(HAND_MADE):
            attack(connection, *draw.choice(ATTACKS)(draw))
    assert server.depths() == {}


def attack(connection: http.client.HTTPConnection, method: str, path: str, headers: dict[str, str], body: bytes) -> None:
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
    except (http.client.HTTPException, ConnectionError):
        # A body refused before it was read to its end: the server closes, the caller starts anew.
        connection.close()
        return
    assert 400 <= answer.status < 500, (method, path, headers, body[:200], answer.status, content)
    assert answer.headers["Content-Type"] == "application/problem+json", (method, path, content)
    assert json.loads(content)["status"] == answer.status


def test_requests_made_from_the_openapi_document_never_break_it(server: GatewayServer) -> None:
    """Whatever is not answered with 202 has published nothing: no more messages wait than tasks were accepted."""
    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    found = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
    operations = [operation for operation in found if operation.label not in ENDLESS]
    assert {operation.label for operation in operations} >= {"POST /v1/tasks", "POST /v1/tasks/batch", "PUT /v1/flags/{task}"}
    # Twice as many as needed: an operation without anything to malform has requests of one mode only.
    each = GENERATED // len(operations) + 1
    answers = [answer for operation in operations for mode in GenerationMode for answer in attack_by(operation, mode, each)]
    assert len(answers) >= GENERATED
    assert [answer.text for answer in answers if answer.status_code >= 500] == []
    accepted = sum(answer.json().get("accepted", 1) for answer in answers if answer.status_code == 202)
    depths = server.depths()
    assert depths.pop(RECORDS_QUEUE, 0) <= accepted
    assert depths.pop(SHADOW_QUEUE, 0) <= accepted
    # Fewer where a key was repeated or what was accepted has expired since.
    assert sum(depths.values()) <= accepted


def attack_by(operation: Any, mode: GenerationMode, each: int) -> list[Any]:
    """The answers to requests made for one operation; none where it has nothing that could be malformed."""
    answers: list[Any] = []

    @settings(
        max_examples=each,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        derandomize=True,
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def attack_once(case: schemathesis.Case[Any]) -> None:
        answers.append(case.call(timeout=20))

    with contextlib.suppress(Unsatisfiable):
        attack_once()
    return answers


def junk(draw: random.Random, size: int = 40) -> bytes:
    return bytes(draw.randrange(256) for _ in range(draw.randrange(size)))


def nested(draw: random.Random) -> bytes:
    depth = draw.choice([65, 100, 1_000, 50_000])
    opening, closing = draw.choice([(b"[", b"]"), (b'{"a":', b"}")])
    return b'{"task": "x", "args": [' + opening * depth + b"1" + closing * depth + b"]}"


def submit(body: bytes, **headers: str) -> Attack:
    return "POST", "/v1/tasks", {**JSON, **headers}, body


def batch(tasks: bytes) -> Attack:
    return "POST", "/v1/tasks/batch", JSON, b'{"tasks": ' + tasks + b"}"


def put_flag(members: bytes) -> Attack:
    return "PUT", "/v1/flags/order.x", JSON, b"{" + members + b"}"


def with_member(draw: random.Random) -> bytes:
    """A known task with one member that cannot be."""
    name = draw.choice(["args", "kwargs", "eta", "countdown", "expires", "priority", "queue", "cohort_key", "surprise", "task"])
    value = draw.choice(
        [
            "-1",
            "1e308",
            '"\\u0000"',
            '"0001-01-01T00:00:00+14:00"',
            '"9999-12-31T23:59:59-14:00"',
            "[[[]]]",
            "true",
            '{"a": 1}',
            '"' + "x" * 300 + '"',
            "123456789012345678901234567890",
        ]
    )
    args = "" if name == "args" else ', "args": []'
    task = "" if name == "task" else f', "task": "{TASK}"'
    return f'{{"{name}": {value}{args}{task}}}'.encode()


KNOWN = TASK.encode()


def too_large(draw: random.Random) -> bytes:
    return b'{"task": "x", "kwargs": {"a": "' + b"x" * (draw.choice([1_100_000, 10_000_000]) if draw.random() < 0.02 else 300) + b'"}}'


ATTACKS: tuple[Callable[[random.Random], Attack], ...] = (
    lambda draw: submit(junk(draw)),
    lambda draw: submit(nested(draw)),
    lambda draw: submit(too_large(draw)),
    lambda draw: submit(with_member(draw)),
    lambda draw: submit(b'{"task": "x", "args": [' + draw.choice([b"NaN", b"Infinity", b"-Infinity", b"1e999", b"0x1", b"01"]) + b"]}"),
    lambda draw: submit(b'{"task": "x", "args": ["' + draw.choice([b"\\ud800", b"\\udfff", b"\xed\xa0\x80", b"\xff"]) + b'"]}'),
    lambda draw: submit(b'{"task": "nobody", "args": [' + b"9" * draw.choice([20, 4_000, 5_000]) + b"]}"),
    lambda draw: submit(b'{"task": "' + KNOWN + b'", "args": ["1", null]}'),
    lambda draw: submit(b'{"task": "' + KNOWN + b'", "args": [1, "a"]}', **{"Idempotency-Key": draw.choice(["a b", "x" * 300])}),
    lambda draw: ("POST", "/v1/tasks", {"Content-Type": draw.choice(["text/plain", "application/xml", "", "a/b"])}, b"{}"),
    lambda draw: batch(draw.choice([b"[]", b"{}", b"null", b"[" + b"1," * 1_000 + b"1]"])),
    lambda draw: ("PUT", f"/v1/flags/{draw.choice(['a', 'a.b', '%00', '%F0', '..%2F..', 'x' * 300])}", JSON, junk(draw)),
    lambda draw: put_flag(b'"mode": "shadow", "shadow_percent": ' + draw.choice([b"100", b"101", b"0.0001"])),
    lambda draw: ("GET", f"/v1/tasks/{draw.choice(['x', '%00', '%ff', 'x' * 200, '../../etc/passwd'])}", {}, b""),
    lambda draw: ("GET", f"/v1/tasks/x/result?wait_s={draw.choice(['nan', 'inf', '-1', '1e9', 'x'])}", {}, b""),
    lambda draw: ("GET", f"/v1/reports/shadow?since={draw.choice(['x', '99999999999999999999', '-1e400'])}", {}, b""),
    lambda draw: (draw.choice(["DELETE", "PATCH", "PUT"]), "/v1/tasks", JSON, b"{}"),
)

"""Sends tasks through the gateway: the same call that used to write to Celery's broker itself.

Only the standard library is used, so the module can be copied into any service.
"""

from __future__ import annotations

import http.client
import json
import os
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Mapping, Sequence
from email.message import Message

__all__ = ["GatewayUnavailable", "TaskRejected", "post_task", "send_celery_task"]

_ATTEMPTS = 4
_TIMEOUT_S = 10.0
_PAUSE_S = 0.2
_PAUSE_MAX_S = 5.0
_TRY_AGAIN = frozenset({429, 502, 503, 504})


class TaskRejected(Exception):
    """The gateway refuses the task: the caller's mistake, trying again changes nothing."""

    def __init__(self, status: int, code: str, detail: str, errors: Sequence[object] = ()) -> None:
        super().__init__(f"{code} ({status}): {detail}")
        self.status = status
        self.code = code
        """Stable word for the kind of mistake."""
        self.errors = tuple(errors)
        """Which fields, as the gateway lists them."""


class GatewayUnavailable(Exception):
    """The gateway took no attempt. The task may run: every attempt carried the same key, so it runs at most once."""

    def __init__(self, reason: str, *, answered: bool = False) -> None:
        super().__init__(reason)
        self.answered = answered
        """True where it was there, and asked to come back later."""


def send_celery_task(
    task_name: str,
    args: Sequence[object] | None = None,
    kwargs: Mapping[str, object] | None = None,
    queue: str | None = None,
) -> str:
    """Submit a task; gives the submission's id once the gateway has it safe.

    The gateway is at `DUALRUN_GATEWAY_URL`; the access token it asks for, in `DUALRUN_TOKEN` or in the file `DUALRUN_TOKEN_FILE` names.
    A connection that fails, or a gateway that asks to come back later, is tried again a few
    times under one `Idempotency-Key`. `queue` None leaves the queue to Celery's routes.

    Raises `TaskRejected`, `GatewayUnavailable`, and `TypeError` for arguments that are not JSON.
    """
    body: dict[str, object] = {"task": task_name, "args": list(args or ()), "kwargs": dict(kwargs or {})}
    if queue is not None:
        body["queue"] = queue
    return post_task(json.dumps(body).encode(), idempotency_key=str(uuid.uuid4()))


def post_task(body: bytes, *, idempotency_key: str, attempts: int = _ATTEMPTS) -> str:
    """Submit a task that is JSON already; gives the submission's id. Repeating it with the same key runs the task once.

    Raises `TaskRejected`, `GatewayUnavailable`.
    """
    request = urllib.request.Request(  # noqa: S310 - the address is the operator's, not the caller's
        os.environ.get("DUALRUN_GATEWAY_URL", "http://127.0.0.1:8080").rstrip("/") + "/v1/tasks",
        data=body,
        headers={"content-type": "application/json", "idempotency-key": idempotency_key, **_authorization()},
        method="POST",
    )
    return _id_of(_answered(request, attempts))


def _authorization() -> dict[str, str]:
    """Read each time: a file that is mounted may be exchanged while the process runs."""
    file, token = os.environ.get("DUALRUN_TOKEN_FILE", ""), os.environ.get("DUALRUN_TOKEN", "")
    if file:
        with open(file, encoding="utf-8") as opened:  # noqa: PTH123 - this module may be copied anywhere, and stays plain
            token = opened.read().strip()
    return {"authorization": f"Bearer {token}"} if token else {}


def _answered(request: urllib.request.Request, attempts: int) -> bytes:
    reason, answered = "", False
    for attempt in range(attempts):
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:  # noqa: S310 - as above
                answer: bytes = response.read()
                return answer
        except urllib.error.HTTPError as exc:
            # A 409 with Retry-After: an earlier attempt of ours is still under way.
            if exc.code not in _TRY_AGAIN and "retry-after" not in exc.headers:
                raise _rejected(exc.code, exc.read()) from exc
            reason, answered, pause_s = f"status {exc.code}", True, _retry_after_s(exc.headers, attempt)
        except (OSError, http.client.HTTPException) as exc:
            reason, answered, pause_s = str(exc), False, _backoff_s(attempt)
        if attempt + 1 < attempts:
            time.sleep(pause_s)
    often = f", {attempts} times" if attempts > 1 else ""
    raise GatewayUnavailable(f"{request.full_url}: {reason}{often}", answered=answered)


def _id_of(answer: bytes) -> str:
    try:
        return str(json.loads(answer)["id"])
    except (ValueError, KeyError, TypeError) as exc:
        raise GatewayUnavailable(f"the answer is not the gateway's: {answer[:200]!r}") from exc


def _rejected(status: int, body: bytes) -> TaskRejected:
    try:
        problem = json.loads(body)
        detail = str(problem.get("detail") or problem.get("title"))
        return TaskRejected(status, str(problem.get("code", "rejected")), detail, problem.get("errors") or ())
    except (ValueError, AttributeError):
        return TaskRejected(status, "rejected", body[:200].decode("utf-8", "replace"))


def _backoff_s(attempt: int) -> float:
    return float(_PAUSE_S * 2**attempt)


def _retry_after_s(headers: Message, attempt: int) -> float:
    asked = headers.get("retry-after", "")
    return min(float(asked), _PAUSE_MAX_S) if asked.isdecimal() else _backoff_s(attempt)

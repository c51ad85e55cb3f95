"""Celery messages as the gateway builds them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from celery import Celery
from hypothesis import given
from hypothesis import strategies as st
from kombu.serialization import loads

from dualrun.contracts import Decision, JsonValue, Mode, Options, Reason, Role, ServedTask, Side, Submission, Work
from gateway.core.errors import DispatchFailed
from gateway.dispatch.celery_message import CeleryMessages, shadow_task_id

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SERVED = ServedTask(task="auth.send", exchange="", routing_key="auth")
APP = Celery("peer", set_as_current=False)
MESSAGES = CeleryMessages(APP)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=80),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def a_work(
    *args: JsonValue, role: Role = Role.AUTHORITY, options: Options | None = None, submission_id: str = "0190", **kwargs: JsonValue
) -> Work:
    return Work(
        submission=Submission(
            id=submission_id,
            task="auth.send",
            args=args,
            kwargs=kwargs,
            options=options or Options(),
            cohort_key="k",
            submitted_at=NOW,
            traceparent="00-a-b-01",
        ),
        decision=Decision(mode=Mode.MIRROR, authority=Side.EVENTS, shadow=Side.LEGACY, reason=Reason.BY_MODE, bucket=None, flag_version=3),
        side=Side.LEGACY,
        role=role,
    )


@given(st.lists(json_values, max_size=4), st.dictionaries(st.text(max_size=5), json_values, max_size=4))
def test_the_message_is_the_one_celery_itself_would_send(args: list[JsonValue], kwargs: dict[str, JsonValue]) -> None:
    message = MESSAGES.message(with_kwargs(a_work(*args), kwargs))
    peer = APP.amqp.create_task_message("0190", "auth.send", tuple(args), kwargs, ignore_result=None)
    # The two reprs are for people; ours escapes what cannot be printed.
    assert {name: message.headers[name] for name in peer.headers if not name.endswith("repr")} == {
        name: value for name, value in peer.headers.items() if not name.endswith("repr")
    }
    assert message.headers.keys() >= {"argsrepr", "kwargsrepr"}
    assert loads(message.body, message.content_type, message.content_encoding, accept={"application/json"}) == [args, kwargs, peer.body[2]]
    assert message.correlation_id == peer.properties["correlation_id"]


def test_a_delayed_shadow_starts_later_and_the_authority_does_not() -> None:
    work = a_work(1)
    delayed = msgspec.structs.replace(work, decision=msgspec.structs.replace(work.decision, shadow_delay_s=30))
    assert MESSAGES.message(delayed).headers["eta"] is None
    shadow = MESSAGES.message(msgspec.structs.replace(delayed, role=Role.SHADOW)).headers
    assert shadow["eta"] == (work.submission.submitted_at + timedelta(seconds=30)).isoformat()
    assert "dualrun-shadowed" not in shadow


def with_kwargs(work: Work, kwargs: dict[str, JsonValue]) -> Work:
    return msgspec.structs.replace(work, submission=msgspec.structs.replace(work.submission, kwargs=kwargs))


def test_what_the_worker_must_know_stands_at_the_top_of_the_headers() -> None:
    headers = MESSAGES.message(a_work(1)).headers
    assert {name: headers[name] for name in headers if name.startswith(("dualrun-", "traceparent"))} == {
        "dualrun-submission-id": "0190",
        "dualrun-role": "authority",
        "dualrun-side": "legacy",
        "dualrun-shadowed": "1",
        "dualrun-flag-version": "3",
        "dualrun-submitted-at": NOW.isoformat(),
        "dualrun-routing": '{"cohort_key":"k"}',
        "traceparent": "00-a-b-01",
    }
    assert headers["ignore_result"] is None, "the worker follows the task's own setting"


def test_a_shadow_shares_nothing_with_the_authority() -> None:
    shadow = MESSAGES.message(a_work(1, role=Role.SHADOW))
    task_id = shadow_task_id("0190")
    assert task_id == shadow_task_id("0190") != shadow_task_id("0191")
    assert (shadow.headers["id"], shadow.headers["root_id"], shadow.correlation_id) == (task_id, task_id, task_id)
    assert shadow.headers["ignore_result"] is True
    assert [shadow.headers[name] for name in ("group", "group_index", "parent_id", "stamped_headers")] == [None] * 4
    assert shadow.reply_to is None
    assert shadow.headers["dualrun-submission-id"] == "0190"


def test_options_are_celerys_own() -> None:
    options = Options(eta=NOW, expires=NOW, priority=7, queue="slow")
    outgoing = MESSAGES.outgoing(a_work(options=options), SERVED)
    assert (outgoing.exchange, outgoing.routing_key) == ("", "slow")
    assert (outgoing.message.headers["eta"], outgoing.message.headers["expires"]) == (NOW.isoformat(), NOW.isoformat())
    assert outgoing.message.priority == 7
    assert outgoing.message.expiration_ms is None, "expired by the broker, it would vanish without an outcome"


@pytest.mark.parametrize("serializer", ["pickle", "yaml", "msgpack", "of a plugin"])
def test_only_json_crosses_the_gateway(serializer: str) -> None:
    with pytest.raises(DispatchFailed, match="only JSON") as refused:
        MESSAGES.outgoing(a_work(1), ServedTask(task="auth.send", serializer=serializer))
    assert refused.value.is_final


def test_what_is_switched_on_by_name_crosses_as_well() -> None:
    named = CeleryMessages(APP, serializers=("json", "yaml", "of a plugin"))
    assert named.outgoing(a_work(1), ServedTask(task="auth.send", serializer="yaml")).message.content_type == "application/x-yaml"
    with pytest.raises(DispatchFailed, match="cannot be written as of a plugin"):
        named.outgoing(a_work(1), ServedTask(task="auth.send", serializer="of a plugin"))


def test_long_arguments_are_shown_short() -> None:
    headers = MESSAGES.message(a_work("x" * 100_000, note=["y" * 100_000])).headers
    assert len(str(headers["argsrepr"])) <= 1_100
    assert len(str(headers["kwargsrepr"])) <= 1_100

"""A shadow is given what the authority was answered, where it makes the same call."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import httpx
import pytest
import requests

from dualrun.broker import Message
from dualrun.broker.memory import MemoryBroker
from dualrun.contracts import Event, JsonValue, Outcome, Role, Safety, Side, headers_of
from dualrun.contracts.topology import HEADER_ROLE, HEADER_SAFETY, HEADER_SHADOWED, HEADER_SUBMISSION_ID
from dualrun.contracts.words import Unknown
from dualrun.effects import Execution, answer_store, current_execution, effect, execution
from dualrun.effects.answers import ANSWER_MAX_BYTES, Answer, Answers, MemoryAnswers, Recorder, Recording, Replay
from dualrun.effects.answers_redis import RedisAnswers
from dualrun.effects.asking import ask, set_unknown
from dualrun.errors import ShadowRefused
from event_handlers.arrival import Arrival, arrival_of
from event_handlers.attempt import make_attempt
from event_handlers.circuit_guard import CircuitGuard
from event_handlers.definition import handler, handler_of
from event_handlers.publisher import EventPublisher
from legacy_celery.run import Runs
from tests.dualrun.effects.test_http import CLIENTS, Call, Client
from tests.support.eventually import becomes

if TYPE_CHECKING:
    from tests.dualrun.effects.conftest import Web


async def authority(client: Client, url: str, *calls: Call) -> Recording:
    with execution(role=Role.AUTHORITY, side=Side.LEGACY, submission_id="s", task="t", recorded=True) as run:
        for call in calls:
            await client(url, call)
    assert run.recorder is not None
    return run.recorder.recording()


async def shadow(client: Client, url: str, recording: Recording, *calls: Call) -> tuple[Execution, list[tuple[int, object]]]:
    with execution(role=Role.SHADOW, side=Side.EVENTS, submission_id="s", task="t") as run:
        run.replay = Replay(recording.answers)
        answers = [(await client(url, call))[:2] for call in calls]
    return run, answers


@pytest.fixture
def _failing() -> Iterator[None]:
    set_unknown(reads=Unknown.FAIL, writes=Unknown.FAIL)
    yield
    set_unknown(reads=None, writes=None)


@pytest.mark.parametrize("asked", CLIENTS.values(), ids=CLIENTS)
@pytest.mark.parametrize("asks", CLIENTS.values(), ids=CLIENTS)
async def test_whichever_client_asks_the_shadow_gets_the_authoritys_answers(asked: Client, asks: Client, web: Web) -> None:
    calls = [Call(json={"n": 1}), Call(method="GET", path="/stock"), Call(method="PUT", path="/gone", json=[])]
    recording = await authority(asked, web.url, *calls)
    web.hits.clear()
    run, answers = await shadow(asks, web.url, recording, *calls)
    assert answers == [(201, {"path": "/orders"}), (200, {"path": "/stock"}), (200, {"path": "/gone"})]
    assert web.hits == []
    assert [effect.performed for effect in run.effects] == [False, False, False]
    assert run.replay is not None
    assert (run.replay.taken, run.replay.unknown) == (3, 0)


async def test_a_call_the_authority_never_made_is_not_answered_for_it(web: Web) -> None:
    client = CLIENTS["httpx-async"]
    recording = await authority(client, web.url, Call(json={"n": 1}))
    run, answers = await shadow(client, web.url, recording, Call(json={"n": 1}), Call(json={"n": 1}), Call(json={"n": 2}))
    assert answers == [(201, {"path": "/orders"}), (200, {}), (200, {})]
    assert run.replay is not None
    assert (run.replay.taken, run.replay.unknown) == (1, 2)


@pytest.mark.usefixtures("_failing")
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_unknown_calls_fail_where_that_is_asked_for(method: str, web: Web) -> None:
    client = CLIENTS["httpx"]
    recording = await authority(client, web.url, Call(path="/other"))
    web.hits.clear()
    with pytest.raises(ShadowRefused, match="the authority was never answered"):
        await shadow(client, web.url, recording, Call(method=method))
    assert web.hits == []


@pytest.mark.parametrize(
    ("safety", "reads", "becomes_of_it"),
    [
        (Safety.PURE, True, Unknown.FAIL),
        (Safety.PURE, False, Unknown.FAIL),
        (Safety.IDEMPOTENT, True, Unknown.ALLOW),
        (Safety.IDEMPOTENT, False, Unknown.STUB),
        (Safety.SANDBOXED, True, Unknown.ALLOW),
        (Safety.SANDBOXED, False, Unknown.STUB),
        (None, True, Unknown.ALLOW),
        (None, False, Unknown.STUB),
    ],
)
def test_the_safety_class_says_what_becomes_of_unknown_calls(safety: Safety | None, reads: bool, becomes_of_it: Unknown) -> None:
    run = _shadow_of(safety, Recording())
    assert _becomes_of_a_call(run, reads=reads) is becomes_of_it
    assert [effect.performed for effect in run.effects] == [becomes_of_it is Unknown.ALLOW]
    assert run.calls_unknown == 1


@pytest.mark.parametrize("recording", [Recording(dropped=1), Recording(failed=1), None], ids=["dropped", "failed", "none"])
def test_a_shadow_does_not_fail_for_a_call_the_authority_may_have_made(recording: Recording | None) -> None:
    run = _shadow_of(Safety.PURE, recording)
    assert _becomes_of_a_call(run, reads=True) is Unknown.ALLOW
    assert _becomes_of_a_call(run, reads=False) is Unknown.STUB


def test_a_call_answered_before_anything_of_the_authoritys_is_known_is_counted_and_one_that_is_made_is_not() -> None:
    run = _shadow_of(Safety.SANDBOXED, None)
    assert _becomes_of_a_call(run, reads=False) is Unknown.STUB
    assert _becomes_of_a_call(run, reads=True) is Unknown.ALLOW
    assert run.calls_unanswered == 1
    known = _shadow_of(Safety.SANDBOXED, Recording())
    _becomes_of_a_call(known, reads=False)
    assert known.calls_unanswered == 0


def test_the_outcome_after_a_lost_recording_tells_of_it_once() -> None:
    lost = 3
    store = RedisAnswers("redis://127.0.0.1:1/0", "p:")
    store.lost = lost
    assert [store.take_lost(), store.take_lost()] == [lost, 0]


async def test_recordings_the_store_lost_reach_an_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    store = RedisAnswers("redis://127.0.0.1:1/0", "p:")
    monkeypatch.setattr(answer_store, "_store", lambda: store)
    outcomes: list[Outcome] = []
    runs = Runs(outcomes.append)
    for n in (1, 2):
        runs.began(str(n), {HEADER_SUBMISSION_ID: str(n), "task": "t", HEADER_SHADOWED: "1", HEADER_ROLE: "authority"})
        runs.ended(str(n), "SUCCESS", None)
        await becomes(partial(asyncio.to_thread, getattr, store, "lost"), n)
    assert [one.answers_dropped for one in outcomes] == [0, 1]


async def test_an_error_of_the_authoritys_leaves_its_recording_incomplete() -> None:
    with (
        execution(role=Role.AUTHORITY, side=Side.LEGACY, submission_id="s", task="t", recorded=True) as run,
        pytest.raises(httpx.ConnectError),
    ):
        await CLIENTS["httpx"]("http://127.0.0.1:1", Call(method="GET"))
    assert run.recorder is not None
    assert not run.recorder.recording().complete


@pytest.mark.usefixtures("_failing")
def test_what_the_worker_says_of_unknown_calls_goes_before_the_safety_class() -> None:
    run = _shadow_of(Safety.SANDBOXED, Recording())
    assert [_becomes_of_a_call(run, reads=reads) for reads in (True, False)] == [Unknown.FAIL, Unknown.FAIL]
    set_unknown(reads=Unknown.STUB, writes=None)
    run = _shadow_of(Safety.PURE, Recording())
    assert [_becomes_of_a_call(run, reads=reads) for reads in (True, False)] == [Unknown.STUB, Unknown.FAIL]


@pytest.mark.parametrize("declared", ["{host}", "{host}:{port}"])
async def test_a_pure_shadow_reads_where_that_is_declared_safe_and_nowhere_else(
    declared: str, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = httpx.URL(web.url)
    with _shadow_of(Safety.PURE, Recording()) as run:
        with pytest.raises(ShadowRefused, match="the authority was never answered"):
            await CLIENTS["httpx"](web.url, Call(method="GET", path="/stock"))
        assert web.hits == []
        monkeypatch.setattr("dualrun.effects.guard._allowed", frozenset({declared.format(host=url.host, port=url.port)}))
        assert (await CLIENTS["httpx"](web.url, Call(method="GET", path="/stock")))[0] == 200
        with pytest.raises(ShadowRefused, match="the authority was never answered"):
            await CLIENTS["httpx"](web.url, Call(json={"n": 1}))
    assert [effect.performed for effect in run.effects] == [False, True, False]
    assert len(web.hits) == 1


def test_the_legacy_worker_runs_a_shadow_under_the_class_its_message_names() -> None:
    seen: list[Safety | None] = []
    runs = Runs(lambda _: None)
    for named in ({HEADER_SAFETY: "pure"}, {HEADER_SAFETY: "of a later release"}, {HEADER_SAFETY: ["pure"]}, {}):
        task_id = str(uuid.uuid4())
        runs.began(task_id, {HEADER_SUBMISSION_ID: task_id, "task": "t", HEADER_ROLE: "shadow", **named})
        run = current_execution()
        assert run is not None
        seen.append(run.safety)
        runs.ended(task_id, "SUCCESS", None)
    assert seen == [Safety.PURE, None, None, None]


def test_a_large_answer_is_dropped_and_counted() -> None:
    recorder = Recorder()
    recorder.add(Answer(kind="http", key="GET a", content="x" * (ANSWER_MAX_BYTES + 1)))
    for number in range(20):
        recorder.add(Answer(kind="http", key=f"GET {number}", content="x" * (ANSWER_MAX_BYTES - 100)))
    recording = recorder.recording()
    assert recording.dropped == 1 + 20 - len(recording.answers)
    assert 5 < len(recording.answers) < 10


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.services)])
def answers(request: pytest.FixtureRequest) -> Answers:
    if request.param == "memory":
        return MemoryAnswers()
    return RedisAnswers(request.getfixturevalue("redis_url"), request.getfixturevalue("redis_prefix"))


async def test_a_store_gives_back_what_was_kept(answers: Answers) -> None:
    recording = Recording(answers=(Answer(kind="http", key="GET a", payload={"a": 1}, content={"status": 200}),), dropped=2)
    assert answers.get("s", 1) is None
    answers.put("s", recording, attempt=1, is_last=True)
    await becomes(partial(asyncio.to_thread, answers.get, "s", 1), recording)
    assert answers.get("other", 1) is None


async def test_each_attempt_has_the_answers_of_the_same_attempt_and_one_more_those_of_the_last(answers: Answers) -> None:
    refused, taken = (Recording(answers=(Answer(kind="http", key="POST a", content={"status": status}),)) for status in (503, 201))
    answers.put("s", refused, attempt=1, is_last=False)
    await becomes(partial(asyncio.to_thread, answers.get, "s", 1), refused)
    assert answers.get("s", 2) is None
    answers.put("s", taken, attempt=2, is_last=True)
    await becomes(partial(asyncio.to_thread, answers.get, "s", 2), taken)
    assert [answers.get("s", attempt) for attempt in (1, 3)] == [refused, taken]


def test_a_store_out_of_reach_stops_nobody() -> None:
    away = RedisAnswers("redis://127.0.0.1:1/0", "p:")
    away.put("s", Recording(), attempt=1, is_last=True)
    assert away.get("s", 1) is None


def test_the_legacy_worker_keeps_what_its_shadow_will_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    submission_id, task_id = str(uuid.uuid4()), str(uuid.uuid4())
    recorded: list[JsonValue] = []
    runs = Runs(lambda _: None)
    headers = {HEADER_SUBMISSION_ID: submission_id, "task": "t", "eta": datetime.now(UTC).isoformat()}
    runs.began(task_id, {**headers, HEADER_SHADOWED: "1", HEADER_ROLE: "authority"})
    _note_answer("created")
    runs.ended(task_id, "SUCCESS", None)
    runs.began(task_id, {**headers, HEADER_ROLE: "shadow"})
    recorded.append(_take_answer())
    runs.ended(task_id, "SUCCESS", None)
    assert recorded == ["created"]
    assert effect("custom", "k")


@pytest.mark.parametrize("authority", ["legacy", "events"])
async def test_a_shadow_quicker_than_the_authoritys_retries_is_not_given_its_refusal_again(authority: str) -> None:
    submission_id, seen = str(uuid.uuid4()), []
    for attempt, answer in ((1, "busy"), (2, None)):
        if answer is not None:
            await _authority_is_refused(authority, submission_id, answer)
        task_id, runs = str(uuid.uuid4()), Runs(lambda _: None)
        runs.began(task_id, {HEADER_SUBMISSION_ID: submission_id, "task": "t", HEADER_ROLE: "shadow", "retries": attempt - 1})
        run = current_execution()
        assert run is not None
        seen.append(None if run.replay is None else run.replay.take("custom", "k", None))
        runs.ended(task_id, "RETRY", None)
    assert seen == ["busy", None]


async def _authority_is_refused(side: str, submission_id: str, answer: str) -> None:
    if side == "legacy":
        task_id, runs = str(uuid.uuid4()), Runs(lambda _: None)
        runs.began(task_id, {HEADER_SUBMISSION_ID: submission_id, "task": "t", HEADER_SHADOWED: "1"})
        _note_answer(answer)
        runs.ended(task_id, "RETRY", None)
        return

    @handler("t")
    async def refused() -> None:
        _note_answer(answer)
        raise OSError(answer)

    event = Event(id=submission_id, type="t", source="/test", time=datetime.now(UTC))
    defined = handler_of(refused)
    assert defined is not None
    arrival = Arrival(event=event, role=Role.AUTHORITY, submission_id=submission_id, shadowed=True)
    attempt = await make_attempt(defined, arrival, EventPublisher(MemoryBroker(), "/test"), CircuitGuard())
    attempt.keep_answers(is_last=False)


def test_an_outcome_tells_which_answers_were_not_kept_and_which_calls_are_unknown() -> None:
    submission_id, task_id = str(uuid.uuid4()), str(uuid.uuid4())
    outcomes: list[Outcome] = []
    runs = Runs(outcomes.append)
    headers = {HEADER_SUBMISSION_ID: submission_id, "task": "t"}
    runs.began(task_id, {**headers, HEADER_SHADOWED: "1", HEADER_ROLE: "authority"})
    _note_answer("x" * ANSWER_MAX_BYTES)
    runs.ended(task_id, "SUCCESS", None)
    runs.began(task_id, {**headers, HEADER_ROLE: "shadow"})
    _take_answer()
    runs.ended(task_id, "SUCCESS", None)
    assert [(one.answers_dropped, one.calls_unknown) for one in outcomes] == [(1, 0), (0, 1)]


def test_a_shadow_ahead_of_its_authority_says_so_in_its_outcome() -> None:
    outcomes: list[Outcome] = []
    runs = Runs(outcomes.append)
    runs.began("1", {HEADER_SUBMISSION_ID: str(uuid.uuid4()), "task": "t", HEADER_ROLE: "shadow"})
    run = current_execution()
    assert run is not None
    ask(run, "http", "POST a", None, reads=False)
    runs.ended("1", "SUCCESS", None)
    assert [(one.calls_unanswered, one.calls_unknown) for one in outcomes] == [(1, 0)]


async def test_an_event_handler_is_given_what_the_legacy_worker_was_answered(web: Web) -> None:
    submission_id, task_id = str(uuid.uuid4()), str(uuid.uuid4())
    runs = Runs(lambda _: None)
    runs.began(task_id, {HEADER_SUBMISSION_ID: submission_id, "task": "order.label", HEADER_SHADOWED: "1"})
    requests.post(web.url + "/labels", json={"order": 7}, timeout=5)  # noqa: ASYNC210 - as a Celery task does
    runs.ended(task_id, "SUCCESS", None)
    web.hits.clear()

    @handler("order.label")
    async def label(order: int) -> str:
        async with httpx.AsyncClient() as client:
            return str((await client.post(web.url + "/labels", json={"order": order})).json()["path"])

    event = Event(id=submission_id, type="order.label", source="/test", time=datetime.now(UTC), payload={"order": 7})
    arrival = Arrival(event=event, role=Role.SHADOW, submission_id=submission_id)
    defined = handler_of(label)
    assert defined is not None
    attempt = await make_attempt(defined, arrival, EventPublisher(MemoryBroker(), "/test"), CircuitGuard())
    assert (attempt.error, attempt.value) == (None, "/labels")
    assert [(effect.key, effect.performed) for effect in attempt.effects] == [(f"POST {web.url}/labels", False)]
    assert web.hits == []


@pytest.mark.parametrize(("safety", "failed"), [("pure", "ShadowRefused"), ("sandboxed", None), (None, None)])
async def test_an_event_handler_runs_as_a_shadow_under_the_class_its_message_names(safety: str | None, failed: str | None) -> None:
    submission_id, task_id = str(uuid.uuid4()), str(uuid.uuid4())
    runs = Runs(lambda _: None)
    runs.began(task_id, {HEADER_SUBMISSION_ID: submission_id, "task": "order.print", HEADER_SHADOWED: "1"})
    runs.ended(task_id, "SUCCESS", None)

    @handler("order.print")
    async def print_order() -> None:
        async with httpx.AsyncClient() as client:
            await client.post("http://127.0.0.1:1/print", json={})

    named = {} if safety is None else {HEADER_SAFETY: safety}
    event = Event(
        id=submission_id,
        type="order.print",
        source="/test",
        time=datetime.now(UTC),
        headers={HEADER_SUBMISSION_ID: submission_id, HEADER_ROLE: "shadow", **named},
    )
    defined = handler_of(print_order)
    assert defined is not None
    arrival = arrival_of(Message(body=b"{}", headers=headers_of(event)), Role.SHADOW)
    attempt = await make_attempt(defined, arrival, EventPublisher(MemoryBroker(), "/test"), CircuitGuard())
    assert (None if attempt.error is None else type(attempt.error).__name__) == failed
    assert attempt.calls_unknown == 1


def _shadow_of(safety: Safety | None, recording: Recording | None) -> Execution:
    run = Execution(role=Role.SHADOW, side=Side.EVENTS, submission_id="s", task="t", safety=safety)
    if recording is not None:
        run.replay = Replay(recording.answers, complete=recording.complete)
    return run


def _becomes_of_a_call(run: Execution, *, reads: bool) -> Unknown:
    try:
        return Unknown.ALLOW if ask(run, "http", "key", None, reads=reads).perform else Unknown.STUB
    except ShadowRefused:
        return Unknown.FAIL


def _note_answer(content: str) -> None:
    run = current_execution()
    assert run is not None
    run.note("custom", "k", performed=True).answered(content)


def _take_answer() -> JsonValue:
    run = current_execution()
    assert run is not None
    assert run.replay is not None
    return run.replay.take("custom", "k", None)

"""Where secrets stand in what is captured: none of them is stored, and what stands beside them is."""

from __future__ import annotations

import traceback
import uuid

import msgspec
import pytest

from dualrun.contracts import Effect, EffectKind, Failure, JsonValue, Outcome, Role, SpanRecord, State
from dualrun.effects.capture.http_call import body_of, key_of
from dualrun.effects.capture.redis_command import key_of as redis_key_of
from dualrun.effects.capture.redis_command import payload_of
from dualrun.effects.capture.sql_statement import parse
from dualrun.effects.capture.sql_write import Parameters, writes_of
from gateway.comparison import Redactor, TaskRules, compare_outcomes, redacted_places
from gateway.core.comparison import Verdict
from tests.support.comparing import an_outcome

REDACTOR = Redactor("the installation's key")
SECRET = "hunter2 of 'ann'"
WORD = "hunter2hunter2"


def _kept(outcome: Outcome) -> str:
    once = REDACTOR.outcome(outcome, TaskRules())
    assert REDACTOR.outcome(once, TaskRules()) == once, "redacting twice changes something"
    return msgspec.json.encode(once).decode()


def _written(sql: str, parameters: Parameters = ()) -> Outcome:
    writes = writes_of(parse(sql), parameters, 1)
    assert writes
    effects = [msgspec.convert({"kind": "sql", "key": one.key, "payload": dict(one.payload)}, Effect) for one in writes]
    return an_outcome(Role.SHADOW, effects=effects)


def _failed(message: str, trace: str | None = None) -> Outcome:
    failure = Failure(kind="ValueError", message=message, traceback=trace)
    return msgspec.structs.replace(an_outcome(Role.SHADOW, state=State.FAILED), failure=failure)


@pytest.mark.parametrize(
    ("sql", "parameters"),
    [
        ("DELETE FROM reset_tokens WHERE token = %s", (SECRET,)),
        ("UPDATE sessions SET seen = 1 WHERE token = %s AND state = 'a'", (SECRET,)),
        ("UPDATE users SET password = %s WHERE id = 1", (SECRET,)),
        ("UPDATE users SET password = crypt(%s, gen_salt('bf')) WHERE id = 1", (SECRET,)),
        ("UPDATE users SET seen = 1 WHERE password = 'hunter2 of ''ann''' OR id > 3", ()),
        ("DELETE FROM sessions WHERE token IN (%s, 'b')", (SECRET,)),
        ("DELETE FROM sessions WHERE lower(token) LIKE %s", (SECRET,)),
        ("INSERT INTO users (name, api_key) VALUES ('ann', %s)", (SECRET,)),
    ],
)
def test_no_secret_of_an_sql_write_is_kept(sql: str, parameters: Parameters) -> None:
    outcome = _written(sql, parameters)
    raw = msgspec.json.encode(outcome).decode()
    assert "hunter2" in raw
    assert "hunter2" not in _kept(outcome)


def test_a_condition_without_a_secret_is_kept_as_it_is() -> None:
    assert "status in ( 'a' , 'b' )" in _kept(_written("UPDATE cart SET qty = qty - 1 WHERE id = 3 AND status IN ('a', 'b')"))


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/plain", b"password=hunter2hunter2&user=ann"),
        ("application/x-www-form-urlencoded", b"user=ann&password=hunter2hunter2"),
        ("application/json", b'{"user": "ann", "auth": {"password": "hunter2hunter2"}}'),
        ("text/plain", b'{"user": "ann", "password" : "hunter2hunter2"}'),
        ("text/plain", b'{"user": "ann", "inner": "{\\"password\\": \\"hunter2hunter2\\"}"}'),
        ("text/plain", b"user: ann\nAuthorization: Bearer hunter2hunter2\n"),
        ("text/plain", b"for ann redis://:hunter2hunter2@cache/0 it is"),
    ],
)
def test_no_secret_of_an_http_call_is_kept(content_type: str, body: bytes) -> None:
    call = Effect(kind="http", key="POST " + key_of("https://shop/login?a=1&token=hunter2hunter2"))
    kept = _kept(an_outcome(Role.SHADOW, effects=[msgspec.structs.replace(call, payload={"body": body_of(content_type, body)})]))
    assert "hunter2" not in kept
    assert "ann" in kept


def test_no_secret_of_a_redis_command_is_kept() -> None:
    commands = (("HSET", "user:1", "name", "ann", "password", WORD), ("SET", f"session:token:{WORD}", "1"))
    effects = [Effect(kind=EffectKind.CACHE, key=redis_key_of(one), payload=payload_of(one)) for one in commands]
    kept = _kept(an_outcome(Role.SHADOW, effects=effects))
    assert WORD not in kept
    assert "ann" in kept


@pytest.mark.parametrize(
    ("attribute", "text"),
    [
        ("db.statement", "UPDATE users SET password = 'hunter2hunter2' WHERE id = 1"),
        ("db.query.text", "INSERT INTO users (name, password) VALUES ('ann', 'hunter2hunter2')"),
        ("db.query.parameter.0", WORD),
        ("url.full", "https://user:hunter2hunter2@host/x?token=hunter2hunter2"),
        ("http.url", "https://host/x?user=1&api_key=hunter2hunter2"),
        ("http.request.header.authorization", "Bearer hunter2hunter2"),
    ],
)
def test_no_secret_of_a_span_is_kept(attribute: str, text: str) -> None:
    span = SpanRecord(name=text if attribute == "db.statement" else "call", span_id="1", attributes={attribute: text})
    kept = _kept(msgspec.structs.replace(an_outcome(Role.SHADOW), spans=(span,)))
    assert WORD not in kept


@pytest.mark.parametrize(
    "message",
    [
        "bad payload {'user': 'ann', 'password': 'hunter2hunter2'}",
        'bad payload {"user": "ann", "password": "hunter2hunter2"}',
        "login('ann', password='hunter2hunter2')",
        "Settings(user='ann', api_key=hunter2hunter2, n=1)",
        "no way to ann at postgresql://app:hunter2hunter2@db:5432/shop",
        "host=db user=ann password=hunter2hunter2 dbname=shop",
        "duplicate key, ann\nDETAIL:  Key (token)=(hunter2hunter2) already exists.",
        'b\'{"password": "hunter2hunter2"}\' of ann',
        "ann {'token': b'hunter2hunter2'}",
        "ann password: hunter2hunter2",
    ],
)
def test_no_secret_of_an_error_is_kept(message: str) -> None:
    try:
        raise ValueError(message)
    except ValueError as error:
        trace = "".join(traceback.format_exception(error))
    kept = _kept(_failed(message, trace))
    assert WORD not in kept
    assert kept.count("ann") == 2


@pytest.mark.parametrize(
    "text",
    ["token: None", "WHERE token = %s", "token=?", "password=''", "SET token = $1", "it costs: 5", "a key=value", "meet at 10:30, ann"],
)
def test_a_text_without_a_secret_is_kept_as_it_is(text: str) -> None:
    assert REDACTOR.outcome(_failed(text), TaskRules()).failure == _failed(text).failure


def test_a_named_secret_is_hidden_in_every_other_place_of_its_record() -> None:
    failed = _failed(f"no mail with {WORD}", f"send({WORD!r})")
    effects = (
        Effect(kind="sql", key="INSERT resets", payload={"set": {"token": WORD}}),
        Effect(kind="email", key="to:a@x.org", payload={"text": f"https://shop/reset/{WORD}", "headers": {f"X-{WORD}": 1}}),
    )
    spans = (SpanRecord(name=f"mail {WORD}", span_id="1", attributes={"link": f"https://shop/reset/{WORD}"}),)
    assert WORD not in _kept(msgspec.structs.replace(failed, effects=effects, spans=spans))


def test_a_short_secret_is_hidden_where_its_name_stands_alone() -> None:
    effects = [Effect(kind="sql", key="INSERT cards", payload={"set": {"cvc": "123", "order": "A-1234"}})]
    kept = REDACTOR.outcome(an_outcome(Role.SHADOW, effects=effects), TaskRules()).effects[0].payload
    assert isinstance(kept, dict)
    assert isinstance(kept["set"], dict)
    assert kept["set"]["order"] == "A-1234"
    assert kept["set"]["cvc"] != "123"


def test_a_secret_returned_bare_is_shown_to_nobody_but_its_caller() -> None:
    effects = [Effect(kind="sql", key="INSERT resets", payload={"set": {"token": WORD}})]
    stored = REDACTOR.outcome(an_outcome(Role.AUTHORITY, WORD, effects=effects), TaskRules())
    assert stored.value == WORD
    assert WORD not in str(REDACTOR.shown(stored).value)


def test_it_can_be_seen_that_an_id_stands_for_another_one() -> None:
    made = str(uuid.uuid4())
    effects = [Effect(kind="message", key="a", payload={"token": made, "order": made.replace("4", "5")})]
    payload: JsonValue = REDACTOR.outcome(an_outcome(Role.SHADOW, effects=effects), TaskRules()).effects[0].payload
    assert redacted_places(payload) == ("/token",)


def test_a_birthday_behind_a_secrets_name_is_hidden_and_an_expiry_compares_as_a_time() -> None:
    def stored(role: Role, expires: str) -> Outcome:
        secret: JsonValue = {"born": "1990-01-01", "since": "1990-01-01T00:00:00", "expires": expires}
        return REDACTOR.outcome(
            an_outcome(role, effects=[Effect(kind="sql", key="INSERT a", payload={"credentials": secret})]), TaskRules()
        )

    pair = stored(Role.AUTHORITY, "2026-11-21T10:30:00Z"), stored(Role.SHADOW, "2026-11-21T10:30:02Z")
    assert "1990" not in msgspec.json.encode(pair[0]).decode()
    assert compare_outcomes(*pair)[0] is Verdict.EQUAL_AFTER_NORMALISE
    assert compare_outcomes(pair[0], stored(Role.SHADOW, "2026-11-22T10:30:00Z"))[0] is Verdict.DIFFERENT_EFFECT

"""Spans by one name for the same work, whichever library and instrumentation made them.

Source: dual-run.md 4.8; attributes of OpenTelemetry's semantic conventions, the stable ones and those before them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from dualrun.contracts import JsonValue, SpanRecord
from gateway.comparison.paths import address, generalised

__all__ = ["EFFECT_PREFIXES", "canonical_name", "is_effect", "is_root"]

EFFECT_PREFIXES = ("http:", "db:", "email:", "publish:", "submit:")
_ROOT = "execute:"
_TRANSPORT = frozenset({"receive", "process", "settle", "ack", "deliver"})
_STATEMENT = re.compile(
    r"\s*(?P<op>[A-Za-z]+)\b(?:.*?\b(?:FROM|INTO|UPDATE|TABLE)\s+|\s+)(?P<table>[\w.\"`\[\]]+)?", re.DOTALL | re.IGNORECASE
)
_STATEMENT_MAX_CHARS = 1_000
_HTTP_NAME = re.compile(r"http:(?P<method>[A-Z]+):(?P<where>.*)", re.DOTALL)


def is_root(span: SpanRecord) -> bool:
    """Whether it is the execution itself."""
    return span.name.startswith(_ROOT) and "dualrun.submission_id" in span.attributes


def is_effect(name: str) -> bool:
    """Whether a canonical name says that the outside was called."""
    return name.startswith(EFFECT_PREFIXES)


def canonical_name(span: SpanRecord) -> str | None:
    """`http:GET:host/orders/*`, `db:postgresql:insert:orders`, `publish:orders`, `submit:shop.pay`, or the span's own name.

    Ids and numbers in it are `*`. None for a span of the transport that brought the work: the sides have different ones.
    """
    attributes = span.attributes
    for read in (_database, _http, _messaging):
        name = read(span, attributes)
        if name is not None:
            return name or None
    kind, _, task = span.name.partition("/")
    if kind == "apply_async" and task:
        return f"submit:{task}"
    if kind == "run" and span.kind == "consumer":
        return None
    return generalised(span.name)


def _first(attributes: Mapping[str, JsonValue], *names: str) -> str:
    return next((str(attributes[name]) for name in names if attributes.get(name) is not None), "")


def _database(span: SpanRecord, attributes: Mapping[str, JsonValue]) -> str | None:
    system = _first(attributes, "db.system.name", "db.system")
    if not system:
        return None
    operation = _first(attributes, "db.operation.name", "db.operation")
    table = _first(attributes, "db.collection.name", "db.sql.table", "db.mongodb.collection")
    match = _STATEMENT.match((_first(attributes, "db.query.text", "db.statement") or span.name)[:_STATEMENT_MAX_CHARS])
    if match is not None:
        operation, table = operation or match["op"], table or match["table"] or ""
    table = table.replace('"', "").replace("`", "").rpartition(".")[2]
    return f"db:{system}:{operation.lower() or span.name}:{generalised(table)}"


def _http(span: SpanRecord, attributes: Mapping[str, JsonValue]) -> str | None:
    method = _first(attributes, "http.request.method", "http.method")
    if method:
        url = urlsplit(_first(attributes, "url.full", "http.url"))
        host = url.hostname or _first(attributes, "server.address", "net.peer.name")
        path = _first(attributes, "url.template", "http.route") or url.path or _first(attributes, "url.path", "http.target") or "/"
        return f"http:{method}:{host}{address(path)}"
    match = _HTTP_NAME.fullmatch(span.name)
    if match is None:
        return None
    host, slash, path = match["where"].partition("/")
    return f"http:{match['method']}:{host}{address(slash + path)}"


def _messaging(span: SpanRecord, attributes: Mapping[str, JsonValue]) -> str | None:
    """`publish:...` for what was sent, empty for what was received."""
    task = _first(attributes, "celery.task_name")
    if task and span.kind == "producer":
        return f"submit:{task}"
    system = _first(attributes, "messaging.system")
    if not system:
        return None
    operation = _first(attributes, "messaging.operation.type", "messaging.operation")
    if span.kind == "consumer" or operation in _TRANSPORT:
        return ""
    where = _first(attributes, "messaging.destination.name", "messaging.destination", "messaging.rabbitmq.destination.routing_key")
    return f"publish:{generalised(where or span.name)}"

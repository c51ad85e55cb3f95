"""An outgoing HTTP call in the form both sides share, whichever library makes it."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from dualrun.contracts import EffectKind, JsonValue
from dualrun.effects.asking import Asked, ask
from dualrun.effects.execution import current_execution
from dualrun.effects.guard import is_declared, permitted
from dualrun.telemetry import client_span

__all__ = [
    "SAFE_METHODS",
    "OutgoingCall",
    "Response",
    "answering",
    "body_of",
    "carried",
    "key_of",
    "noted",
    "outgoing",
    "response_to",
    "sending",
    "watched",
    "watched_below",
]

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""RFC 9110, 9.2.1: they ask and do not change, so a shadow performs them too."""
SHADOW_HEADERS = {"content-type": "application/json", "dualrun-shadow": "captured"}
SHADOW_BODY = b"{}"
"""What a shadow gets, with status 200, for a call that was not performed."""

# Of a connection, of an encoding that is undone, of a length that is another then, and the keys to a session.
_NOT_REPLAYED = frozenset({"connection", "content-encoding", "content-length", "keep-alive", "set-cookie", "transfer-encoding"})
_DEFAULT_PORTS = {"http": 80, "https": 443}
_SEGMENT_SAFE = "!$&'()*+,;=:@~"
_inside: ContextVar[bool] = ContextVar("dualrun_inside_http_call", default=False)
_carried: ContextVar[bool] = ContextVar("dualrun_carried_http_call", default=False)


@dataclass(frozen=True, slots=True)
class Response:
    """What a call is answered with in a shadow."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class OutgoingCall:
    """A call about to be made: whether to make it, and the headers to send with it."""

    __slots__ = ("_note", "headers", "perform", "response")

    def __init__(self, asked: Asked, headers: dict[str, str]) -> None:
        self.perform = asked.perform
        self.headers = headers
        self.response = response_to(asked)
        """The answer where the call is not to be performed: the authority's, or one without content."""
        self._note = asked.note

    @property
    def recorded(self) -> bool:
        """True where the answer is wanted: a shadow will ask for it."""
        return self._note.recorded

    def answered(self, status: int, headers: Iterable[tuple[str, str]], body: Callable[[], bytes | None]) -> None:
        """The server answered. `body` gives the decoded content; None where the task has still to read it."""
        if not self._note.recorded:
            return
        content = body()
        if content is None:
            self._note.unread()
            return
        kept = {name.lower(): value for name, value in headers if name.lower() not in _NOT_REPLAYED}
        self._note.answered({"status": status, "headers": kept, "body": base64.b64encode(content).decode()})


def watched() -> bool:
    """True where a call is to be captured: inside an execution, and not already inside a captured call (a redirect, an adapter)."""
    return current_execution() is not None and not _inside.get()


def watched_below() -> bool:
    """As `watched`, for a library that others send by: what those have noted is not noted again."""
    return current_execution() is not None and not _carried.get()


@contextmanager
def carried() -> Iterator[None]:
    """What is sent inside by a library below is the call that was noted here."""
    token = _carried.set(True)
    try:
        yield
    finally:
        _carried.reset(token)


@contextmanager
def outgoing(method: str, url: str, *, content_type: str, body: bytes | None) -> Iterator[OutgoingCall]:
    """Note the call, span it, and say whether it is to be performed. What is raised inside is noted as its error.

    `body` None is one that can only be read by sending it.
    """
    with sending(noted(method, url, content_type=content_type, body=body), method, url) as call:
        yield call


def noted(method: str, url: str, *, content_type: str, body: bytes | None) -> Asked:
    """Note the call, as `outgoing` does, for one that is made in several steps."""
    run = current_execution()
    assert run is not None
    method = method.upper()
    return ask(
        run,
        EffectKind.HTTP,
        f"{method} {key_of(url)}",
        {"body": body_of(content_type, body)},
        reads=method in SAFE_METHODS,
        declared=run.shadow and _is_declared(url),
    )


@contextmanager
def sending(asked: Asked, method: str, url: str) -> Iterator[OutgoingCall]:
    """The step in which it is sent, and its span."""
    with answering(asked), client_span(_span_name(method.upper(), url)) as headers:
        yield OutgoingCall(asked, headers)


@contextmanager
def answering(asked: Asked) -> Iterator[None]:
    """Any step of a call that was noted. What is raised inside is noted as its error."""
    token = _inside.set(True)
    try:
        with permitted():
            yield
    except BaseException as exc:
        asked.note.failed(_error_kind(exc))
        raise
    finally:
        _inside.reset(token)


def response_to(asked: Asked) -> Response:
    """The answer where the call is not to be performed: the authority's, or one without content."""
    return _response_of(asked.answer)


def _response_of(answer: JsonValue) -> Response:
    if not isinstance(answer, dict):
        return Response(200, SHADOW_HEADERS, SHADOW_BODY)
    headers = answer["headers"]
    named = {str(name): str(value) for name, value in headers.items()} if isinstance(headers, dict) else {}
    return Response(int(str(answer["status"])), {**named, "dualrun-shadow": "replayed"}, base64.b64decode(str(answer["body"])))


def _is_declared(url: str) -> bool:
    parts = urlsplit(url)
    host = parts.hostname or ""
    return is_declared(host, f"{host}:{parts.port or _DEFAULT_PORTS.get(parts.scheme, '')}")


@lru_cache(maxsize=512)
def key_of(url: str) -> str:
    """`scheme://host[:port]/path[?query]`: default ports and credentials left out, escapes made uniform, the query sorted."""
    parts = urlsplit(url)
    port = "" if parts.port is None or _DEFAULT_PORTS.get(parts.scheme) == parts.port else f":{parts.port}"
    path = "/".join(quote(unquote(segment), safe=_SEGMENT_SAFE) for segment in (parts.path or "/").split("/"))
    query = urlencode(sorted(parse_qsl(parts.query, keep_blank_values=True)), quote_via=quote)
    return f"{parts.scheme}://{parts.hostname or ''}{port}{path}{'?' + query if query else ''}"


def body_of(content_type: str, body: bytes | None) -> JsonValue:
    """The body as its content type reads it: parsed JSON, a form's fields, parts, text; of binary content the hash and the size."""
    if body is None:
        return {"stream": True}
    if not body:
        return None
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == "application/json" or media_type.endswith("+json"):
        return _json(body)
    if media_type == "application/x-www-form-urlencoded":
        return _form(body)
    if media_type.startswith("multipart/"):
        return _parts(content_type, body)
    return _text(body) if media_type.startswith("text/") or not media_type else _binary(body)


def _json(body: bytes) -> JsonValue:
    try:
        parsed: JsonValue = json.loads(body)
    except (ValueError, RecursionError):
        return _text(body)
    return parsed


def _form(body: bytes) -> JsonValue:
    fields: dict[str, list[str]] = {}
    for name, value in parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True):
        fields.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in fields.items()}


def _parts(content_type: str, body: bytes) -> JsonValue:
    """Parts without their boundary, which is random."""
    # A parser of e-mail, for the few that send forms in parts: every worker would carry it otherwise.
    import email.parser
    import email.policy

    head = f"content-type: {content_type}\r\n\r\n".encode("latin-1", "replace")
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
    if not message.is_multipart():
        return _binary(body)
    parts: list[JsonValue] = []
    for part in message.iter_parts():
        content = part.get_payload(decode=True)
        raw = content if isinstance(content, bytes) else b""
        filename = part.get_filename()
        name = part.get_param("name", header="content-disposition")
        value = _text(raw) if filename is None else _binary(raw)
        parts.append({"name": str(name), "filename": filename, "value": value})
    return {"parts": parts}


def _text(body: bytes) -> JsonValue:
    try:
        return body.decode()
    except UnicodeDecodeError:
        return _binary(body)


def _binary(body: bytes) -> JsonValue:
    return {"sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body)}


@lru_cache(maxsize=512)
def _span_name(method: str, url: str) -> str:
    parts = urlsplit(url)
    return f"http:{method}:{parts.hostname or ''}{parts.path or '/'}"


def _error_kind(exc: BaseException) -> str:
    """The same kind for the same trouble: libraries name a refused connection or a timeout each in their own way."""
    # What urllib3 gave up for after its last attempt; some of its releases take what cannot be reached for a kind of timeout.
    reason = getattr(exc, "reason", None) if type(exc).__name__ == "MaxRetryError" else None
    names = [cls.__name__ for cls in type(reason if isinstance(reason, Exception) else exc).__mro__]
    if "NewConnectionError" in names:
        return "ConnectionError"
    if any("Timeout" in name for name in names):
        return "TimeoutError"
    if any(name in {"NetworkError", "ConnectionError", "ClientConnectionError", "ProtocolError", "RemoteProtocolError"} for name in names):
        return "ConnectionError"
    return type(exc).__name__

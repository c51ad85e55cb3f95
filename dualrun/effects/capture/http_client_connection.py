"""http.client, used without urllib.request, urllib3 or requests above it (xmlrpc.client does)."""

from __future__ import annotations

import http.client
import io
from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any

from dualrun.effects.asking import Asked
from dualrun.effects.capture.http_call import OutgoingCall, Response, answering, carried, noted, response_to, sending, watched_below
from dualrun.effects.capture.http_kept import keep_short
from dualrun.effects.execution import Execution, current_execution
from dualrun.effects.guard import permitted

__all__ = ["patch"]

_BEGUN = "_dualrun_begun"


def patch(library: ModuleType) -> None:
    """Put the capture into the steps of `HTTPConnection`: until `endheaders` nothing is sent, and then all but the body is known."""
    connection = library.HTTPConnection
    for name, wrap in _STEPS.items():
        setattr(connection, name, wrap(getattr(connection, name)))


class _Begun:
    """A request on its way through a connection."""

    __slots__ = ("answer", "asked", "call", "headers", "method", "run", "url")

    def __init__(self, run: Execution | None, method: str, url: str) -> None:
        self.run = run
        self.method = method
        self.url = url
        self.headers: dict[str, str] = {}
        self.asked: Asked | None = None
        self.call: OutgoingCall | None = None
        """Once it is sent."""
        self.answer: Response | None = None
        """Where it is not to be sent."""


def _here(connection: Any) -> _Begun | None:  # noqa: ANN401
    """The request of this run's, if the connection is in the midst of one."""
    begun: _Begun | None = vars(connection).get(_BEGUN)
    return begun if begun is not None and begun.run is current_execution() else None


def _beginning(putrequest: Callable[..., None]) -> Callable[..., None]:
    @wraps(putrequest)
    def beginning(self: Any, method: str, url: str, *args: Any, **options: Any) -> None:  # noqa: ANN401 - as in http.client
        putrequest(self, method, url, *args, **options)
        if watched_below():
            vars(self)[_BEGUN] = _Begun(current_execution(), method, url)
        else:
            vars(self).pop(_BEGUN, None)

    return beginning


def _naming(putheader: Callable[..., None]) -> Callable[..., None]:
    @wraps(putheader)
    def naming(self: Any, header: str | bytes, *values: Any) -> None:  # noqa: ANN401 - as in http.client
        putheader(self, header, *values)
        begun = _here(self)
        if begun is not None:
            begun.headers[_text(header).lower()] = ", ".join(map(_text, values))

    return naming


def _ending(endheaders: Callable[..., None]) -> Callable[..., None]:
    @wraps(endheaders)
    def ending(self: Any, message_body: Any = None, **options: Any) -> None:  # noqa: ANN401 - as in http.client
        begun = _here(self)
        if begun is None:
            endheaders(self, message_body, **options)
            return
        url = _absolute(self, begun.url)
        begun.asked = noted(begun.method, url, content_type=begun.headers.get("content-type", ""), body=_sent(begun, message_body))
        if not begun.asked.perform:
            begun.answer = response_to(begun.asked)
            # Nothing was sent: the connection is as it was before.
            self._buffer.clear()
            vars(self)["_HTTPConnection__state"] = "Idle"
            return
        # The span ends when all is sent: what comes back is read at another time, maybe elsewhere.
        with sending(begun.asked, begun.method, url) as begun.call, carried():
            for name, value in begun.call.headers.items():
                self.putheader(name, value)
            endheaders(self, message_body, **options)

    return ending


def _sending(send: Callable[..., None]) -> Callable[..., None]:
    @wraps(send)
    def sending_on(self: Any, data: Any) -> None:  # noqa: ANN401 - as in http.client
        begun = _here(self)
        if begun is None or begun.asked is None:
            send(self, data)
        elif begun.answer is None:
            with permitted():
                send(self, data)

    return sending_on


def _answering(getresponse: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(getresponse)
    def answered(self: Any, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - as in http.client
        begun = _here(self)
        if begun is None or begun.asked is None:
            return getresponse(self, *args, **options)
        del vars(self)[_BEGUN]
        if begun.answer is not None:
            return _shadow_response(self, begun.method, begun.answer)
        with answering(begun.asked), carried():
            response = getresponse(self, *args, **options)
            if begun.call is not None and begun.call.recorded:
                keep_short(response, begun.call)
        return response

    return answered


_STEPS: dict[str, Callable[[Callable[..., Any]], Callable[..., Any]]] = {
    "putrequest": _beginning,
    "putheader": _naming,
    "endheaders": _ending,
    "send": _sending,
    "getresponse": _answering,
}


def _text(value: object) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _sent(begun: _Begun, body: object) -> bytes | None:
    if body is None:
        # The task may send it by itself.
        follows = "transfer-encoding" in begun.headers or begun.headers.get("content-length", "0") != "0"
        return None if follows else b""
    return bytes(body) if isinstance(body, bytes | bytearray) else None


def _absolute(connection: Any, url: str) -> str:  # noqa: ANN401
    if "://" in url.partition("?")[0]:
        return url
    tunnelled = getattr(connection, "_tunnel_host", None)
    host, port = (tunnelled, connection._tunnel_port) if tunnelled else (connection.host, connection.port)  # noqa: SLF001
    # What connects by TLS says so by its default port, whatever class it is of.
    scheme = "https" if connection.default_port == http.client.HTTPS_PORT else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}{f':{port}' if port else ''}{url}"


class _Canned:
    """What stands where a response looks for its socket."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._content)


def _shadow_response(connection: Any, method: str, answer: Response) -> Any:  # noqa: ANN401 - of the connection's own class
    head = [f"HTTP/1.1 {answer.status} {http.client.responses.get(answer.status, '')}"]
    head += [f"{name}: {value}" for name, value in answer.headers.items()]
    head += [f"content-length: {len(answer.body)}", "", ""]
    response = connection.response_class(_Canned("\r\n".join(head).encode("latin-1", "replace") + answer.body), method=method)
    response.begin()
    return response

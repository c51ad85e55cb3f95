"""urllib.request."""

from __future__ import annotations

import http.client
import io
import urllib.error
import urllib.request
from collections.abc import Callable
from email.message import Message
from functools import wraps
from types import ModuleType
from typing import Any
from urllib.response import addinfourl

from dualrun.effects.answers import ANSWER_MAX_BYTES
from dualrun.effects.capture.http_call import OutgoingCall, Response, carried, outgoing, watched

__all__ = ["patch"]

_FIRST_ERROR = 400


def patch(library: ModuleType) -> None:
    """Put the capture into `OpenerDirector.open`, through which `urlopen` goes."""
    library.OpenerDirector.open = _captured(library.OpenerDirector.open)


def _captured(open_: Callable[..., object]) -> Callable[..., object]:
    @wraps(open_)
    def captured(self: object, fullurl: Any, data: Any = None, *args: Any, **kwargs: Any) -> object:  # noqa: ANN401 - as in urllib
        request = urllib.request.Request(fullurl) if isinstance(fullurl, str) else fullurl  # noqa: S310 - judged on the next line
        if not watched() or request.type not in {"http", "https"}:
            return open_(self, fullurl, data, *args, **kwargs)
        if data is not None:
            request.data = data
        body = request.data
        # As urllib itself does where none is given.
        content_type = request.get_header("Content-type", "application/x-www-form-urlencoded" if body is not None else "")
        sent = b"" if body is None else bytes(body) if isinstance(body, bytes | bytearray) else None
        with outgoing(request.get_method(), request.full_url, content_type=content_type, body=sent) as call:
            if not call.perform:
                return _shadow_response(request.full_url, call.response)
            for name, value in call.headers.items():
                request.add_header(name, value)
            with carried():
                response = open_(self, request, None, *args, **kwargs)
            if call.recorded:
                _keep(response, call)
            return response

    return captured


def _keep(response: Any, call: OutgoingCall) -> None:  # noqa: ANN401 - of http.client, without types of its own for `fp`
    """Read a short body now, and let the task read it from memory; of a longer one the task reads from the socket, past this."""
    length = response.length
    if length is None or length > ANSWER_MAX_BYTES or response.chunked or response.fp is None:
        call.answered(response.status, response.headers.items(), lambda: b"" if length == 0 else None)
        return
    body = response.read()
    response.fp, response.length = io.BufferedReader(io.BytesIO(body)), len(body)
    call.answered(response.status, response.headers.items(), lambda: body)


def _shadow_response(url: str, answer: Response) -> addinfourl:
    headers = Message()
    for name, value in answer.headers.items():
        headers[name] = value
    body = io.BytesIO(answer.body)
    if answer.status >= _FIRST_ERROR:
        raise urllib.error.HTTPError(url, answer.status, http.client.responses.get(answer.status, ""), headers, body)
    return addinfourl(body, headers, url, answer.status)

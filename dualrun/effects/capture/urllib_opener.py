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

from dualrun.effects.capture.http_call import Response, carried, outgoing, watched
from dualrun.effects.capture.http_kept import keep_short

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
                keep_short(response, call)
            return response

    return captured


def _shadow_response(url: str, answer: Response) -> addinfourl:
    headers = Message()
    for name, value in answer.headers.items():
        headers[name] = value
    body = io.BytesIO(answer.body)
    if answer.status >= _FIRST_ERROR:
        raise urllib.error.HTTPError(url, answer.status, http.client.responses.get(answer.status, ""), headers, body)
    return addinfourl(body, headers, url, answer.status)

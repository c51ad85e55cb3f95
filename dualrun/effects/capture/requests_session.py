"""requests."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import TYPE_CHECKING

from dualrun.effects.capture.http_call import SHADOW_BODY, SHADOW_HEADERS, outgoing, watched

if TYPE_CHECKING:
    import requests

__all__ = ["patch"]


def patch(library: ModuleType) -> None:
    """Put the capture into `Session.send`, and into `HTTPAdapter.send` for those who call an adapter themselves."""
    library.Session.send = _captured(library.Session.send)
    library.adapters.HTTPAdapter.send = _captured(library.adapters.HTTPAdapter.send)


def _captured(
    send: Callable[..., requests.Response],
) -> Callable[..., requests.Response]:
    @wraps(send)
    def captured(self: object, request: requests.PreparedRequest, *args: object, **kwargs: object) -> requests.Response:
        if not watched():
            return send(self, request, *args, **kwargs)
        content_type = str(request.headers.get("content-type", ""))
        with outgoing(request.method or "GET", request.url or "", content_type=content_type, body=_body(request)) as call:
            if not call.perform:
                return _shadow_response(request)
            request.headers.update(call.headers)
            return send(self, request, *args, **kwargs)

    return captured


def _body(request: requests.PreparedRequest) -> bytes | None:
    body: object = request.body
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    return bytes(body) if isinstance(body, bytes | bytearray) else None


def _shadow_response(request: requests.PreparedRequest) -> requests.Response:
    import requests

    response = requests.Response()
    response.status_code = 200
    response.reason = "OK"
    response.headers.update(SHADOW_HEADERS)
    response.encoding = "utf-8"
    response.url = request.url or ""
    response.request = request
    response.raw = io.BytesIO(SHADOW_BODY)
    return response

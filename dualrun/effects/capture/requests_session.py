"""requests."""

from __future__ import annotations

import http.client
import io
from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from types import ModuleType
from typing import TYPE_CHECKING

from dualrun.effects.capture.http_call import OutgoingCall, Response, carried, outgoing, watched
from dualrun.effects.capture.http_stream import StreamedBody

if TYPE_CHECKING:
    import requests

__all__ = ["patch"]


def patch(library: ModuleType) -> None:
    """Put the capture into `Session.send`, and into `HTTPAdapter.send` for those who call an adapter themselves."""
    library.Session.send = _captured(library.Session.send, lambda options: bool(options.get("stream")))
    library.adapters.HTTPAdapter.send = _captured(library.adapters.HTTPAdapter.send, lambda _: True)


def _captured(
    send: Callable[..., requests.Response],
    streamed: Callable[[Mapping[str, object]], bool],
) -> Callable[..., requests.Response]:
    @wraps(send)
    def captured(self: object, request: requests.PreparedRequest, *args: object, **kwargs: object) -> requests.Response:
        if not watched():
            return send(self, request, *args, **kwargs)
        content_type = str(request.headers.get("content-type", ""))
        with outgoing(request.method or "GET", request.url or "", content_type=content_type, body=_body(request)) as call:
            if not call.perform:
                return _shadow_response(request, call.response)
            request.headers.update(call.headers)
            with carried():
                response = send(self, request, *args, **kwargs)
            if not streamed(kwargs):
                call.answered(response.status_code, response.headers.items(), lambda: response.content)
            elif call.recorded:
                _keep_as_read(response, call)
            return response

    return captured


def _keep_as_read(response: requests.Response, call: OutgoingCall) -> None:
    """All of requests reads by `iter_content`; who reads `raw` itself reads past this."""
    from requests.utils import stream_decode_response_unicode

    body = StreamedBody(call, response.status_code, response.headers.items())
    iter_content, close = response.iter_content, response.close

    def iterating(chunk_size: int | None = 1, decode_unicode: bool = False) -> Iterator[bytes | str]:
        # Decoded here, from bytes that were kept: an incremental decoder, as in requests.
        chunks = body.tee(iter_content(chunk_size, False))
        return stream_decode_response_unicode(chunks, response) if decode_unicode else chunks  # type: ignore[no-untyped-call]

    def closing() -> None:
        body.closed()
        close()

    vars(response).update(iter_content=iterating, close=closing)


def _body(request: requests.PreparedRequest) -> bytes | None:
    body: object = request.body
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    return bytes(body) if isinstance(body, bytes | bytearray) else None


def _shadow_response(request: requests.PreparedRequest, answer: Response) -> requests.Response:
    import requests

    response = requests.Response()
    response.status_code = answer.status
    response.reason = http.client.responses.get(answer.status, "")
    response.headers.update(answer.headers)
    response.encoding = requests.utils.get_encoding_from_headers(response.headers)
    response.url = request.url or ""
    response.request = request
    response.raw = io.BytesIO(answer.body)
    return response

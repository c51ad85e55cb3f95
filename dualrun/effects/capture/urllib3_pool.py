"""urllib3, used without requests or botocore above it."""

from __future__ import annotations

import http.client
import io
from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from types import ModuleType
from typing import TYPE_CHECKING, Any

from dualrun.effects.capture.http_call import OutgoingCall, Response, carried, outgoing, watched_below
from dualrun.effects.capture.http_stream import StreamedBody

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

__all__ = ["patch"]

Headers = Mapping[str, str]
Send = Callable[..., "BaseHTTPResponse"]


def patch(library: ModuleType) -> None:
    """Put the capture into `HTTPConnectionPool.urlopen`, through which all goes, and `PoolManager.urlopen`, which follows redirects."""
    manager, pool = library.poolmanager.PoolManager, library.connectionpool.HTTPConnectionPool
    manager.urlopen = _managed(manager.urlopen)
    pool.urlopen = _pooled(pool.urlopen)


def _managed(urlopen: Send) -> Send:
    @wraps(urlopen)
    def captured(self: Any, method: str, url: str, redirect: bool = True, **options: Any) -> BaseHTTPResponse:  # noqa: ANN401 - as in urllib3
        # Without a scheme the pool below knows better where it goes.
        if not watched_below() or "://" not in url:
            return urlopen(self, method, url, redirect, **options)
        headers = options.pop("headers", None)
        headers = self.headers if headers is None else headers
        return _call(method, url, headers, options, lambda sent: urlopen(self, method, url, redirect, headers=sent, **options))

    return captured


def _pooled(urlopen: Send) -> Send:
    @wraps(urlopen)
    def captured(
        self: Any,  # noqa: ANN401 - as in urllib3
        method: str,
        url: str,
        body: Any = None,  # noqa: ANN401
        headers: Headers | None = None,
        *args: Any,  # noqa: ANN401
        **options: Any,  # noqa: ANN401
    ) -> BaseHTTPResponse:
        if not watched_below():
            return urlopen(self, method, url, body, headers, *args, **options)
        headers = self.headers if headers is None else headers
        known = {**options, "body": body}
        return _call(method, _absolute(self, url), headers, known, lambda sent: urlopen(self, method, url, body, sent, *args, **options))

    return captured


def _call(
    method: str, url: str, headers: Headers, options: Mapping[str, Any], send: Callable[[Headers], BaseHTTPResponse]
) -> BaseHTTPResponse:
    named = {name.lower(): str(value) for name, value in headers.items()}
    with outgoing(method, url, content_type=named.get("content-type", ""), body=_sent(options.get("body"))) as call:
        if not call.perform:
            return _shadow_response(method, url, call.response, preload=options.get("preload_content", True))
        with carried():
            response = send(_with(headers, call.headers))
        if call.recorded:
            _keep(response, call, options)
        return response


def _absolute(pool: Any, url: str) -> str:  # noqa: ANN401
    if "://" in url.partition("?")[0]:
        return url
    host = f"[{pool.host}]" if ":" in pool.host else pool.host
    return f"{pool.scheme}://{host}{'' if pool.port is None else f':{pool.port}'}{url}"


def _sent(body: object) -> bytes | None:
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    return bytes(body) if isinstance(body, bytes | bytearray) else None


def _with(headers: Headers, traced: Mapping[str, str]) -> Headers:
    from urllib3 import HTTPHeaderDict

    # Of its own kind: one name may have several values.
    sent = HTTPHeaderDict(headers)
    sent.update(traced)
    return sent


def _keep(response: Any, call: OutgoingCall, options: Mapping[str, Any]) -> None:  # noqa: ANN401 - its methods are stood in for
    if not options.get("preload_content", True):
        _KeptAsRead(response, call)
        return
    decoded = options.get("decode_content", True) or "content-encoding" not in response.headers
    call.answered(response.status, response.headers.items(), lambda: response.data if decoded else None)


class _KeptAsRead:
    """Stands in for a response's methods: all of urllib3 reads by `read`, `read1` or `read_chunked`."""

    def __init__(self, response: Any, call: OutgoingCall) -> None:  # noqa: ANN401
        self._response = response
        self._encoded = "content-encoding" in response.headers
        self._body = StreamedBody(call, response.status, response.headers.items())
        self._below = False
        """True while the library reads on: one of its methods calls another, and closes at the end by itself."""
        wraps_of: dict[str, Callable[[Callable[..., Any]], Callable[..., Any]]] = {
            "read": self._reading,
            "read1": self._reading,
            "read_chunked": self._chunks,
            "close": self._ending,
            "release_conn": self._ending,
        }
        # Not every release has all of them.
        vars(response).update({name: wrap(getattr(response, name)) for name, wrap in wraps_of.items() if hasattr(response, name)})

    def _reading(self, read: Callable[..., bytes]) -> Callable[..., bytes]:
        def reading(amt: int | None = None, decode_content: bool | None = None, *args: Any, **more: Any) -> bytes:  # noqa: ANN401
            if self._below:
                return read(amt, decode_content, *args, **more)
            self._judge(decode_content)
            self._below = True
            try:
                content = read(amt, decode_content, *args, **more)
            finally:
                self._below = False
            self._body.read(content)
            if (not content and amt != 0) or self._is_read():
                self._body.ended()
            return content

        return reading

    def _chunks(self, read_chunked: Callable[..., Iterator[bytes]]) -> Callable[..., Iterator[bytes]]:
        def chunks(amt: int | None = None, decode_content: bool | None = None) -> Iterator[bytes]:
            self._judge(decode_content)
            return self._body.tee(read_chunked(amt, decode_content))

        return chunks

    def _ending(self, end: Callable[[], None]) -> Callable[[], None]:
        def ending() -> None:
            if not self._below:
                self._body.closed()
            end()

        return ending

    def _judge(self, decode: bool | None) -> None:
        """What is read as it was encoded cannot be given to those who want it decoded."""
        if self._encoded and not (self._response.decode_content if decode is None else decode):
            self._body.lost()

    def _is_read(self) -> bool:
        """Whether all has come, and nothing waits to be decoded or given out."""
        decoder = getattr(self._response, "_decoder", None)
        waits = len(getattr(self._response, "_decoded_buffer", ())) or getattr(decoder, "has_unconsumed_tail", False)
        return bool(self._response.closed) and not waits


def _shadow_response(method: str, url: str, answer: Response, *, preload: bool) -> BaseHTTPResponse:
    import urllib3

    return urllib3.HTTPResponse(
        body=io.BytesIO(answer.body),
        headers=dict(answer.headers),
        status=answer.status,
        version=11,
        reason=http.client.responses.get(answer.status, ""),
        preload_content=preload,
        request_method=method.upper(),
        request_url=url,
    )

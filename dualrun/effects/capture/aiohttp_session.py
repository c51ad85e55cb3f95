"""aiohttp, the client."""

from __future__ import annotations

import asyncio
import http.client
import inspect
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from functools import wraps
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlencode

from dualrun.effects.capture.http_call import Response, outgoing, watched
from dualrun.effects.capture.http_stream import StreamedBody

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession, StreamReader
    from yarl import URL

__all__ = ["patch"]

_STREAM_LIMIT = 2**16


def patch(library: ModuleType) -> None:
    """Put the capture into `ClientSession._request`, through which every call goes, and into the end of answers that are kept."""
    library.ClientSession._request = _captured(library.ClientSession._request)  # noqa: SLF001 - the one door there is
    for name in ("release", "close"):
        setattr(library.ClientResponse, name, _releasing(getattr(library.ClientResponse, name)))


def _captured(request: Callable[..., Awaitable[ClientResponse]]) -> Callable[..., Awaitable[ClientResponse]]:
    @wraps(request)
    async def captured(self: ClientSession, method: str, str_or_url: Any, **options: Any) -> ClientResponse:  # noqa: ANN401 - as in aiohttp
        if not watched():
            return await request(self, method, str_or_url, **options)
        url: URL = self._build_url(str_or_url).update_query(options.get("params") or {})
        headers = {**self.headers, **dict(options.get("headers") or {})}
        content_type, body = _body(options, {str(name).lower(): str(value) for name, value in headers.items()}.get("content-type"))
        with outgoing(method, str(url), content_type=content_type, body=body) as call:
            if not call.perform:
                response = _shadow_response(self, method.upper(), url, call.response)
                if _raises(self, options):
                    response.raise_for_status()
                return response
            options["headers"] = {**dict(options.get("headers") or {}), **call.headers}
            response = await request(self, method, str_or_url, **options)
            if call.recorded:
                read = StreamedBody(call, response.status, response.headers.items())
                response.content = cast("StreamReader", _ReadContent(response.content, read))
            return response

    return captured


def _releasing(release: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(release)
    def releasing(self: ClientResponse) -> Any:  # noqa: ANN401 - as in aiohttp
        if isinstance(self.content, _ReadContent):
            self.content.body.closed()
        return release(self)

    return releasing


class _ReadContent:
    """Stands for a response's content: what the task reads of it, as a whole or in pieces, is kept."""

    def __init__(self, content: StreamReader, body: StreamedBody) -> None:
        self._content = content
        self.body = body

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - what reads nothing goes straight to it
        return getattr(self._content, name)

    async def read(self, n: int = -1) -> bytes:
        return self._read(await self._content.read(n))

    async def readany(self) -> bytes:
        return self._read(await self._content.readany())

    async def readexactly(self, n: int) -> bytes:
        return self._read(await self._content.readexactly(n))

    async def readline(self, *args: Any, **options: Any) -> bytes:  # noqa: ANN401
        return self._read(await self._content.readline(*args, **options))

    async def readuntil(self, *args: Any, **options: Any) -> bytes:  # noqa: ANN401
        return self._read(await self._content.readuntil(*args, **options))

    async def readchunk(self) -> tuple[bytes, bool]:
        chunk, ends = await self._content.readchunk()
        return self._read(chunk), ends

    def read_nowait(self, n: int = -1) -> bytes:
        return self._read(self._content.read_nowait(n))

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while line := await self.readline():
            yield line

    async def iter_any(self) -> AsyncIterator[bytes]:
        while chunk := await self.readany():
            yield chunk

    async def iter_chunked(self, n: int) -> AsyncIterator[bytes]:
        while chunk := await self.read(n):
            yield chunk

    async def iter_chunks(self) -> AsyncIterator[tuple[bytes, bool]]:
        while (chunk := await self.readchunk()) != (b"", False):
            yield chunk

    def _read(self, chunk: bytes) -> bytes:
        self.body.read(chunk)
        if self._content.at_eof():
            self.body.ended()
        return chunk


def _body(options: Mapping[str, Any], given: str | None) -> tuple[str, bytes | None]:
    """Content type and body as they will be sent; None for what can only be read by sending it."""
    data = options.get("data")
    if options.get("json") is not None:
        return given or "application/json", json.dumps(options["json"]).encode()
    if data is None:
        return given or "", b""
    if isinstance(data, str):
        return given or "text/plain", data.encode()
    if isinstance(data, bytes | bytearray | memoryview):
        return given or "application/octet-stream", bytes(data)
    if isinstance(data, Mapping) or (isinstance(data, list | tuple) and all(isinstance(pair, tuple) for pair in data)):
        fields: Iterable[Any] = data.items() if isinstance(data, Mapping) else data
        pairs = [(str(name), value) for name, value in fields]
        if all(isinstance(value, str | int | float) for _, value in pairs):
            return given or "application/x-www-form-urlencoded", urlencode(pairs).encode()
    return given or "", None


def _raises(session: ClientSession, options: Mapping[str, Any]) -> bool:
    asked = options.get("raise_for_status")
    return (session.raise_for_status if asked is None else asked) is True


class _Sent:
    """What stands where aiohttp looks for how much was sent."""

    output_size = 0


def _shadow_response(session: ClientSession, method: str, url: URL, answer: Response) -> ClientResponse:
    from aiohttp import ClientResponse, RequestInfo, StreamReader
    from aiohttp.base_protocol import BaseProtocol
    from multidict import CIMultiDict, CIMultiDictProxy

    loop = asyncio.get_running_loop()
    offered: dict[str, object] = {
        "writer": None,
        "continue100": None,
        "timer": None,
        "request_info": RequestInfo(url, method, CIMultiDictProxy(CIMultiDict()), url),
        "traces": [],
        "loop": loop,
        "session": session,
        "stream_writer": _Sent(),
    }
    # Which of them there are has changed from release to release.
    wanted = inspect.signature(ClientResponse.__init__).parameters
    response: ClientResponse = ClientResponse(method, url, **{name: value for name, value in offered.items() if name in wanted})  # type: ignore[arg-type]
    content = StreamReader(BaseProtocol(loop), _STREAM_LIMIT, loop=loop)
    content.feed_data(answer.body)
    content.feed_eof()
    response.status, response.reason, response.content = answer.status, http.client.responses.get(answer.status, ""), content
    state = vars(response)
    state["_body"] = answer.body
    state["_headers"] = CIMultiDictProxy(CIMultiDict(answer.headers))
    state["_raw_headers"] = tuple((name.encode(), value.encode()) for name, value in answer.headers.items())
    return response

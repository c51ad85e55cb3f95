"""httpx, sync and async."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import timedelta
from functools import wraps
from types import ModuleType
from typing import TYPE_CHECKING

from dualrun.effects.capture.http_call import OutgoingCall, Response, outgoing
from dualrun.effects.capture.http_stream import StreamedBody
from dualrun.effects.execution import current_execution
from dualrun.effects.guard import permitted

if TYPE_CHECKING:
    import httpx

__all__ = ["patch"]

BUFFERED_MAX_BYTES = 1024 * 1024


def patch(library: ModuleType) -> None:
    """Put the capture into `Client.send` and `AsyncClient.send`, through which every httpx call goes."""
    library.Client.send = _sync(library.Client.send)
    library.AsyncClient.send = _async(library.AsyncClient.send)


def _sync(
    send: Callable[..., httpx.Response],
) -> Callable[..., httpx.Response]:
    @wraps(send)
    def captured(self: httpx.Client, request: httpx.Request, *args: object, **kwargs: object) -> httpx.Response:
        # A call made inside of another is one of its own: an authentication's, a hook's.
        run = current_execution()
        if run is None:
            return send(self, request, *args, **kwargs)
        body = request.read() if _bufferable(request) else None
        with outgoing(request.method, str(request.url), content_type=request.headers.get("content-type", ""), body=body) as call:
            if not call.perform:
                return _shadow_response(request, call.response)
            request.headers.update(call.headers)
            response = send(self, request, *args, **kwargs)
            _keep(response, call)
            if run.shadow:
                _permit_reading(response)
            return response

    return captured


def _async(
    send: Callable[..., Awaitable[httpx.Response]],
) -> Callable[..., Awaitable[httpx.Response]]:
    @wraps(send)
    async def captured(self: httpx.AsyncClient, request: httpx.Request, *args: object, **kwargs: object) -> httpx.Response:
        # A call made inside of another is one of its own: an authentication's, a hook's.
        run = current_execution()
        if run is None:
            return await send(self, request, *args, **kwargs)
        body = await request.aread() if _bufferable(request) else None
        with outgoing(request.method, str(request.url), content_type=request.headers.get("content-type", ""), body=body) as call:
            if not call.perform:
                return _shadow_response(request, call.response)
            request.headers.update(call.headers)
            response = await send(self, request, *args, **kwargs)
            _keep(response, call)
            if run.shadow:
                _permit_reading(response)
            return response

    return captured


def _bufferable(request: httpx.Request) -> bool:
    """True where reading the body now is harmless: httpx then sends it from memory. A generator has no length and is left alone."""
    if "transfer-encoding" in request.headers:
        return False
    return int(request.headers.get("content-length", "0")) <= BUFFERED_MAX_BYTES


def _keep(response: httpx.Response, call: OutgoingCall) -> None:
    """All of httpx reads by `iter_bytes` or `aiter_bytes`; what is read as `iter_raw` is read past this."""
    if response.is_closed or not call.recorded:
        call.answered(response.status_code, response.headers.items(), lambda: response.content)
        return
    body = StreamedBody(call, response.status_code, response.headers.items())
    iter_bytes, aiter_bytes, close, aclose = response.iter_bytes, response.aiter_bytes, response.close, response.aclose

    def closing() -> None:
        body.closed()
        close()

    async def aclosing() -> None:
        body.closed()
        await aclose()

    vars(response).update(
        iter_bytes=lambda chunk_size=None: body.tee(iter_bytes(chunk_size)),
        aiter_bytes=lambda chunk_size=None: body.tee_async(aiter_bytes(chunk_size)),
        close=closing,
        aclose=aclosing,
    )


def _permit_reading(response: httpx.Response) -> None:
    """What a shadow reads piece by piece of a call that went out: HTTP/2 tells the server how much it has read."""
    import httpx

    stream = response.stream

    class Sync(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            assert isinstance(stream, httpx.SyncByteStream)
            chunks = iter(stream)
            while True:
                with permitted():
                    chunk = next(chunks, None)
                if chunk is None:
                    return
                yield chunk

        def close(self) -> None:
            assert isinstance(stream, httpx.SyncByteStream)
            with permitted():
                stream.close()

    class Async(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            assert isinstance(stream, httpx.AsyncByteStream)
            chunks = aiter(stream)
            while True:
                with permitted():
                    chunk = await anext(chunks, None)
                if chunk is None:
                    return
                yield chunk

        async def aclose(self) -> None:
            assert isinstance(stream, httpx.AsyncByteStream)
            with permitted():
                await stream.aclose()

    if not response.is_closed:
        response.stream = Sync() if isinstance(stream, httpx.SyncByteStream) else Async()


def _shadow_response(request: httpx.Request, answer: Response) -> httpx.Response:
    import httpx

    response = httpx.Response(answer.status, content=answer.body, headers=answer.headers, request=request)
    response.elapsed = timedelta(0)
    return response

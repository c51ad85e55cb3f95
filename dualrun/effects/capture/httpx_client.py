"""httpx, sync and async."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import wraps
from types import ModuleType
from typing import TYPE_CHECKING

from dualrun.effects.capture.http_call import SHADOW_BODY, SHADOW_HEADERS, outgoing, watched

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
        if not watched():
            return send(self, request, *args, **kwargs)
        body = request.read() if _bufferable(request) else None
        with outgoing(request.method, str(request.url), content_type=request.headers.get("content-type", ""), body=body) as call:
            if not call.perform:
                return _shadow_response(request)
            request.headers.update(call.headers)
            return send(self, request, *args, **kwargs)

    return captured


def _async(
    send: Callable[..., Awaitable[httpx.Response]],
) -> Callable[..., Awaitable[httpx.Response]]:
    @wraps(send)
    async def captured(self: httpx.AsyncClient, request: httpx.Request, *args: object, **kwargs: object) -> httpx.Response:
        if not watched():
            return await send(self, request, *args, **kwargs)
        body = await request.aread() if _bufferable(request) else None
        with outgoing(request.method, str(request.url), content_type=request.headers.get("content-type", ""), body=body) as call:
            if not call.perform:
                return _shadow_response(request)
            request.headers.update(call.headers)
            return await send(self, request, *args, **kwargs)

    return captured


def _bufferable(request: httpx.Request) -> bool:
    """True where reading the body now is harmless: httpx then sends it from memory. A generator has no length and is left alone."""
    if "transfer-encoding" in request.headers:
        return False
    return int(request.headers.get("content-length", "0")) <= BUFFERED_MAX_BYTES


def _shadow_response(request: httpx.Request) -> httpx.Response:
    import httpx

    response = httpx.Response(200, content=SHADOW_BODY, headers=SHADOW_HEADERS, request=request)
    response.elapsed = timedelta(0)
    return response

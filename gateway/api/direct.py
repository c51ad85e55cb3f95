"""A short way for the two hot routes: straight from the ASGI server to the endpoint, past the framework's middleware and routing.

FastAPI declares, documents and could serve them; served by it, its own stack took four fifths of a submission's processor time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from fastapi import FastAPI, Request, Response
from starlette.types import Receive, Scope, Send

from gateway.api.problem import response_of
from gateway.core.errors import GatewayError

__all__ = ["DirectRoutes", "Endpoint"]

Endpoint = Callable[[Request], Awaitable[Response]]


class DirectRoutes:
    """Serves `POST` to these paths by itself; everything else goes to the application."""

    def __init__(self, app: FastAPI, posts: Mapping[str, Endpoint]) -> None:
        self.app = app
        self._posts = posts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = self._posts.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if endpoint is None:
            return await self.app(scope, receive, send)
        scope["app"] = self.app
        try:
            response = await endpoint(Request(scope, receive))
        except GatewayError as exc:
            response = response_of(exc)
        return await response(scope, receive, send)

"""The embedded gateway behind HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn

from gateway.api.application import create_application
from gateway.console import create_console
from gateway.embedded.stack import EmbeddedStack

__all__ = ["listen", "serve_until_interrupted", "serving"]


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises `OSError` when the port is taken."""
    # Named as TCP: asyncio switches Nagle's algorithm off only where the protocol says so, else every answer waits 40 ms for an ACK.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except OSError:
        listener.close()
        raise
    return listener


async def serve_until_interrupted(stack: EmbeddedStack, listener: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM; requests under way are answered. A second signal does not wait for them."""
    server = _server(stack)

    def stop() -> None:
        server.force_exit = server.should_exit
        server.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    await server.serve(sockets=[listener])


@asynccontextmanager
async def serving(stack: EmbeddedStack, listener: socket.socket) -> AsyncIterator[str]:
    """The base URL of the gateway while the block runs."""
    server = _server(stack)
    task = asyncio.create_task(server.serve(sockets=[listener]), name="embedded-gateway")
    try:
        host, port = listener.getsockname()[:2]
        yield f"http://{host}:{port}"
    finally:
        server.should_exit = True
        await task


def _server(stack: EmbeddedStack) -> uvicorn.Server:
    app = create_application(stack.services, console=create_console)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off", timeout_graceful_shutdown=5))
    # uvicorn would raise the signal again once it has stopped, and the process would end before the stack has drained.
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]
    return server

"""The answers to `/healthz`, `/readyz` and `/metrics` of a process that serves no other HTTP: bytes in, bytes out."""

from __future__ import annotations

import asyncio
import socketserver
import threading
from collections.abc import Callable
from typing import Protocol, cast

__all__ = ["REQUEST_MAX_BYTES", "Health", "HealthProtocol", "answer", "answering"]

REQUEST_MAX_BYTES = 8192
_REASONS = {200: "OK", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}


class Health(Protocol):
    """What can be asked of a process."""

    def fault(self) -> str | None:
        """Why it should be started anew; None while it works."""
        ...

    def not_ready(self) -> str | None:
        """Why it does no work; None while it does."""
        ...

    def metrics(self) -> bytes:
        """In Prometheus's text format."""
        ...


def answer(request: bytes, health: Health) -> bytes:
    """The whole response to the head of an HTTP request; the connection is to be closed after it."""
    method, _, rest = request.partition(b" ")
    path = rest.partition(b" ")[0].partition(b"?")[0]
    if method not in {b"GET", b"HEAD"}:
        status, kind, body = 405, "text/plain", b"GET is what can be asked here\n"
    elif path == b"/metrics":
        status, kind, body = 200, "text/plain; version=0.0.4", health.metrics()
    elif path in {b"/healthz", b"/readyz"}:
        reason = health.fault() if path == b"/healthz" else health.fault() or health.not_ready()
        status, kind, body = (200, "text/plain", b"ok\n") if reason is None else (503, "text/plain", f"{reason}\n".encode())
    else:
        status, kind, body = 404, "text/plain", b"/healthz, /readyz and /metrics are what there is\n"
    head = f"HTTP/1.1 {status} {_REASONS[status]}\r\ncontent-type: {kind}; charset=utf-8\r\ncontent-length: {len(body)}\r\n"
    return head.encode() + b"connection: close\r\n\r\n" + (b"" if method == b"HEAD" else body)


class HealthProtocol(asyncio.Protocol):
    """Answers in an event loop."""

    def __init__(self, health: Health) -> None:
        self._health = health
        self._request = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._request += data
        if self._transport is not None and (b"\r\n\r\n" in self._request or len(self._request) > REQUEST_MAX_BYTES):
            self._transport.write(answer(self._request, self._health))
            self._transport.close()


def answering(health: Health, host: str, port: int) -> Callable[[], None]:
    """Answer from a thread of its own, for processes without an event loop; gives the function that ends it. Raises `OSError`."""
    server = _Server((host, port), health)
    thread = threading.Thread(target=server.serve_forever, name="dualrun-health", daemon=True)
    thread.start()

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return stop


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, address: tuple[str, int], health: Health) -> None:
        self.health = health
        super().__init__(address, _Request)


class _Request(socketserver.StreamRequestHandler):
    timeout = 5.0

    def handle(self) -> None:
        assert isinstance(self.server, _Server)
        request = b""
        while b"\r\n\r\n" not in request and len(request) < REQUEST_MAX_BYTES:
            line = self.rfile.readline(REQUEST_MAX_BYTES)
            if not line:
                return
            request += line
            if line == b"\r\n":
                break
        self.wfile.write(answer(request, self.server.health))

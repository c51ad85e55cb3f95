"""A closed-loop HTTP load: N keep-alive connections, each sending the next request when the last is answered.

Written on bare asyncio protocols so that it takes little of the processor it shares with what it measures.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import cast

__all__ = ["Load", "run_load"]


@dataclass(slots=True)
class Load:
    """What a load run saw. Latencies in milliseconds, one a request answered with an expected status."""

    elapsed_s: float = 0.0
    latencies_ms: list[float] = field(default_factory=list)
    failures: int = 0

    @property
    def per_s(self) -> float:
        return len(self.latencies_ms) / self.elapsed_s if self.elapsed_s else 0.0

    def quantile_ms(self, q: float) -> float:
        ordered = sorted(self.latencies_ms)
        return ordered[min(len(ordered) - 1, int(q * len(ordered)))] if ordered else float("nan")


class _Connection(asyncio.Protocol):
    def __init__(self, request: bytes, load: Load, until: float) -> None:
        self._request = request
        self._load = load
        self._until = until
        self._buffer = b""
        self._sent_at = 0.0
        self._transport: asyncio.Transport | None = None
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's transports are no subclass of it
        self._send()

    def _send(self) -> None:
        assert self._transport is not None
        self._sent_at = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._buffer[:end].lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 : (head.find(b"\r\n", at) if head.find(b"\r\n", at) > 0 else len(head))])
        if len(self._buffer) < end + 4 + length:
            return
        self._answered(ok=head.startswith((b"http/1.1 202", b"http/1.1 200")))
        self._buffer = self._buffer[end + 4 + length :]

    def _answered(self, *, ok: bool) -> None:
        now = time.perf_counter()
        if ok:
            self._load.latencies_ms.append((now - self._sent_at) * 1e3)
        else:
            self._load.failures += 1
        if now < self._until:
            self._send()
        elif self._transport is not None:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None)


async def run_load(host: str, port: int, path: str, body: bytes, *, connections: int, seconds: float) -> Load:
    """Post `body` to `path` over that many connections for that long."""
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    load = Load()
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    until = started + seconds
    made = [await loop.create_connection(lambda: _Connection(head.encode() + body, load, until), host, port) for _ in range(connections)]
    await asyncio.gather(*(protocol.closed for _, protocol in made))
    load.elapsed_s = time.perf_counter() - started
    return load

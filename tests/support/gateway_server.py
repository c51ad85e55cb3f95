"""A gateway on the parts in memory behind a real HTTP port, in a thread of its own: for callers that are not asynchronous."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager

import uvicorn

from gateway.api.application import create_application
from gateway.console import create_console
from gateway.core.gate import GateVerdict
from gateway.embedded.server import listen
from tests.support.gateway_parts import MemoryGateway, memory_gateway

__all__ = ["GatewayServer", "running_gateway"]


class GatewayServer:
    """Where it listens, and a look at its queues."""

    def __init__(self, url: str, gateway: MemoryGateway, loop: asyncio.AbstractEventLoop) -> None:
        self.url = url
        self._gateway = gateway
        self._loop = loop

    def depths(self) -> dict[str, int]:
        """How many messages wait in each queue that has any."""
        return asyncio.run_coroutine_threadsafe(self._gateway.depths(), self._loop).result(10)

    def serve(self, *tasks: str) -> None:
        """Have a live worker of each side serve these tasks, too."""
        self._gateway.serve(*tasks)

    def judge(self, verdict: GateVerdict) -> None:
        """Say something as the gate."""
        asyncio.run_coroutine_threadsafe(self._gateway.gate_notices.publish(verdict), self._loop).result(10)

    def break_circuit(self, name: str) -> None:
        """Open a circuit, as an event worker would."""
        asyncio.run_coroutine_threadsafe(self._gateway.breakers.failed(name, 1, 60.0), self._loop).result(10)


@contextmanager
def running_gateway(**settings: object) -> Iterator[GatewayServer]:
    """The gateway while the block runs."""
    ready: Future[GatewayServer] = Future()
    stop = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(_serve(ready, stop, settings)), name="gateway-under-test")
    thread.start()
    try:
        yield ready.result(30)
    finally:
        stop.set()
        thread.join()


async def _serve(ready: Future[GatewayServer], stop: threading.Event, settings: dict[str, object]) -> None:
    with listen("127.0.0.1", 0) as listener:
        async with memory_gateway(**settings) as gateway:
            app = create_application(gateway.services, console=create_console)
            server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            ready.set_result(GatewayServer(f"http://127.0.0.1:{listener.getsockname()[1]}", gateway, asyncio.get_running_loop()))
            await asyncio.to_thread(stop.wait)
            server.should_exit = True
            await serving

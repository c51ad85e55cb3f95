"""A TCP proxy whose links a test can cut, delay, freeze, half open and refuse."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from urllib.parse import urlsplit, urlunsplit

__all__ = ["TcpProxy", "ThreadedTcpProxy", "proxied", "proxied_async", "tcp_proxy", "threaded_tcp_proxy"]

_CHUNK = 65_536


class TcpProxy:
    """Between a client and a server on this machine."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._flows = asyncio.Event()
        self._flows.set()
        self._answers = asyncio.Event()
        self._answers.set()
        self.delay_s = 0.0
        """How long every piece is on its way, in either direction."""
        self.port = 0
        self._linked = asyncio.Event()
        self.links = 0
        """Connections accepted so far."""

    async def listen(self) -> None:
        """Accept connections, on the port of before if there was one."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def refuse(self) -> None:
        """Accept nothing more until `listen`."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def cut(self) -> None:
        """Reset every link, as a broken network does."""
        for writer in list(self._writers):
            writer.transport.abort()

    def freeze(self) -> None:
        """Keep links open and pass nothing on."""
        self._flows.clear()

    def half_open(self) -> None:
        """Keep links open, pass on what clients say, and nothing of what the server answers."""
        self._answers.clear()

    def thaw(self) -> None:
        """Pass everything on again."""
        self._flows.set()
        self._answers.set()

    async def linked(self, count: int) -> None:
        """Wait until so many connections have been accepted."""
        while self.links < count:
            self._linked.clear()
            await self._linked.wait()

    async def close(self) -> None:
        """Cut and refuse for good."""
        self.refuse()
        self.thaw()
        self.cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.links += 1
        self._linked.set()
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        for source, sink, other in ((reader, far_writer, writer), (far_reader, writer, far_writer)):
            gates = [self._flows, self._answers] if source is far_reader else [self._flows]
            task = asyncio.create_task(self._pump(source, sink, other, gates))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, other: asyncio.StreamWriter, gates: Sequence[asyncio.Event]
    ) -> None:
        self._writers |= {sink, other}
        with contextlib.suppress(OSError):
            while chunk := await source.read(_CHUNK):
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                for gate in gates:
                    await gate.wait()
                sink.write(chunk)
                await sink.drain()
        for writer in (sink, other):
            writer.close()
            self._writers.discard(writer)


@asynccontextmanager
async def tcp_proxy(host: str, port: int) -> AsyncIterator[TcpProxy]:
    """A proxy that listens on a free port, and is gone afterwards."""
    proxy = TcpProxy(host, port)
    await proxy.listen()
    try:
        yield proxy
    finally:
        await proxy.close()


class ThreadedTcpProxy:
    """A `TcpProxy` in a thread of its own, for tests that block while others talk through it."""

    def __init__(self, proxy: TcpProxy, loop: asyncio.AbstractEventLoop) -> None:
        self._proxy = proxy
        self._loop = loop
        self.port = proxy.port

    def break_down(self) -> None:
        """Reset every link and refuse new ones."""
        self._loop.call_soon_threadsafe(self._proxy.refuse)
        self._loop.call_soon_threadsafe(self._proxy.cut)

    def freeze(self) -> None:
        """Keep links open and pass nothing on, as a process does that was stopped."""
        self._loop.call_soon_threadsafe(self._proxy.freeze)

    def thaw(self) -> None:
        """Pass everything on again."""
        self._loop.call_soon_threadsafe(self._proxy.thaw)

    def restore(self) -> None:
        """Accept again, on the same port."""
        asyncio.run_coroutine_threadsafe(self._proxy.listen(), self._loop).result(10)


@contextmanager
def threaded_tcp_proxy(host: str, port: int) -> Iterator[ThreadedTcpProxy]:
    """A proxy that listens on a free port, and is gone afterwards."""
    ready: Future[ThreadedTcpProxy] = Future()
    done = threading.Event()

    async def serve() -> None:
        async with tcp_proxy(host, port) as proxy:
            ready.set_result(ThreadedTcpProxy(proxy, asyncio.get_running_loop()))
            await asyncio.to_thread(done.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="tcp-proxy")
    thread.start()
    try:
        yield ready.result(10)
    finally:
        done.set()
        thread.join()


@contextmanager
def proxied(url: str, default_port: int) -> Iterator[tuple[ThreadedTcpProxy, str]]:
    """A proxy before a service, and the service's URL through it."""
    parts = urlsplit(url)
    with threaded_tcp_proxy(parts.hostname or "127.0.0.1", parts.port or default_port) as proxy:
        yield proxy, _at_port(url, proxy.port)


@asynccontextmanager
async def proxied_async(url: str, default_port: int) -> AsyncIterator[tuple[TcpProxy, str]]:
    """As `proxied`, in the event loop of the test."""
    parts = urlsplit(url)
    async with tcp_proxy(parts.hostname or "127.0.0.1", parts.port or default_port) as proxy:
        yield proxy, _at_port(url, proxy.port)


def _at_port(url: str, port: int) -> str:
    """The same URL, at a port of this machine."""
    parts = urlsplit(url)
    credentials = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    return urlunsplit(parts._replace(netloc=f"{credentials}127.0.0.1:{port}"))

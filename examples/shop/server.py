"""The shop on real ports in a thread of its own: for demonstrations, tests and benchmarks."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn

from examples.shop.mail import MailSink
from examples.shop.services import create_app
from examples.shop.state import ShopState

__all__ = ["RunningShop", "running_shop", "serve"]

START_TIMEOUT_S = 15.0


@dataclass(frozen=True, slots=True)
class RunningShop:
    """Where the shop listens, and its memory."""

    url: str
    mail: MailSink
    state: ShopState

    @property
    def env(self) -> dict[str, str]:
        """The environment variables that point the sample tasks and handlers at this shop."""
        return {"SHOP_URL": self.url, "SHOP_SMTP_HOST": self.mail.host, "SHOP_SMTP_PORT": str(self.mail.port)}

    def reset(self) -> None:
        """Forget everything that was written and mailed."""
        self.state.reset()
        self.mail.clear()


async def serve(*, host: str, port: int, smtp_port: int) -> None:
    """Serve the shop until interrupted."""
    mail = MailSink(host, smtp_port)
    await mail.start()
    try:
        await uvicorn.Server(uvicorn.Config(create_app(ShopState(), mail), host=host, port=port)).serve()
    finally:
        await mail.stop()


@contextmanager
def running_shop(*, host: str = "127.0.0.1", port: int = 0, smtp_port: int = 0) -> Iterator[RunningShop]:
    """The shop on real ports (0: free ones) while the block runs. Raises OSError when a port is taken."""
    state, mail = ShopState(), MailSink(host, smtp_port)
    # The socket listens from here on: whoever connects before the server has started waits for it. It is named as TCP, because
    # asyncio switches Nagle's algorithm off only then, and every answer would wait 40 ms for an ACK.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind((host, port))
    listener.listen()
    server = uvicorn.Server(uvicorn.Config(create_app(state, mail), log_level="warning"))
    mail_up: Future[None] = Future()
    thread = threading.Thread(target=asyncio.run, args=(_run(server, listener, mail, mail_up),), name="sample-shop", daemon=True)
    thread.start()
    try:
        mail_up.result(START_TIMEOUT_S)
        yield RunningShop(url=f"http://{host}:{listener.getsockname()[1]}", mail=mail, state=state)
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


async def _run(server: uvicorn.Server, listener: socket.socket, mail: MailSink, mail_up: Future[None]) -> None:
    try:
        await mail.start()
    except OSError as exc:
        mail_up.set_exception(exc)
        return
    mail_up.set_result(None)
    try:
        await server.serve(sockets=[listener])
    finally:
        await mail.stop()

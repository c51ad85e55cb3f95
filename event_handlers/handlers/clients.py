"""How the handlers reach the shop's services and its mail server."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from email.message import EmailMessage
from weakref import WeakKeyDictionary

import aiosmtplib
import httpx

__all__ = ["http_client", "send_mail", "shop"]

TIMEOUT_S = 10
# Shorter than servers keep idle connections open (uvicorn: 5 s): none is picked up just as the other end closes it.
KEEPALIVE_S = 2
SENDER = "shop@shop.example"

_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, tuple[httpx.AsyncClient, AsyncGenerator[None]]] = WeakKeyDictionary()


async def shop(method: str, path: str, *, json: object = None, params: dict[str, str] | None = None) -> httpx.Response:
    """Call the shop's services (`SHOP_URL`). Raises httpx.TransportError; what an answer's status means is the caller's to say."""
    address = os.environ.get("SHOP_URL", "http://127.0.0.1:8081") + path
    client = await http_client()
    return await client.request(method, address, json=json, params=params)


async def http_client() -> httpx.AsyncClient:
    """The one client of the running event loop, whose connections all its handlers share."""
    loop = asyncio.get_running_loop()
    if loop in _clients:
        return _clients[loop][0]
    limits = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=KEEPALIVE_S)
    client = httpx.AsyncClient(timeout=TIMEOUT_S, limits=limits, follow_redirects=True)
    closing = closed_with(loop, client)
    _clients[loop] = client, closing
    await anext(closing)
    return client


async def closed_with(loop: asyncio.AbstractEventLoop, client: httpx.AsyncClient) -> AsyncGenerator[None]:
    """Closes the client with the loop, which ends its asynchronous generators before it closes: no worker has to know of the client."""
    try:
        yield
    finally:
        _clients.pop(loop, None)
        await client.aclose()


async def send_mail(to: str, subject: str, body: str) -> None:
    """Send a plain text mail through `SHOP_SMTP_HOST` and `SHOP_SMTP_PORT`. Raises aiosmtplib.SMTPException or OSError."""
    message = EmailMessage()
    message["From"] = SENDER
    message["To"] = to
    message["Subject"] = subject
    message.set_content(body)
    host, port = os.environ.get("SHOP_SMTP_HOST", "127.0.0.1"), int(os.environ.get("SHOP_SMTP_PORT", "8025"))
    await aiosmtplib.send(message, hostname=host, port=port, timeout=TIMEOUT_S)

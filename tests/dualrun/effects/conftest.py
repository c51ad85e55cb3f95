"""A real HTTP server and a real mail server that remember what reached them."""

from __future__ import annotations

import asyncio
import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import Message

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from dualrun.effects import install


@dataclass
class Hit:
    method: str
    path: str
    headers: Message
    body: bytes


@dataclass
class Web:
    url: str
    hits: list[Hit] = field(default_factory=list)


@dataclass
class Mail:
    host: str
    port: int
    envelopes: list[Envelope] = field(default_factory=list)
    connections: int = 0


class AnyPort(Controller):
    """Takes a free port. aiosmtpd's start-up check connects to the port it was given, which is 0."""

    def _trigger_server(self) -> None:
        assert isinstance(self.server, asyncio.Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]  # aiosmtpd's


@pytest.fixture(autouse=True)
def _installed() -> None:
    install()


@pytest.fixture
def web() -> Iterator[Web]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.chunks() if "transfer-encoding" in self.headers else self.rfile.read(int(self.headers.get("content-length", 0)))
            seen.hits.append(Hit(self.command, self.path, self.headers, body))
            if self.path.startswith("/moved"):
                self.send_response(303)
                self.send_header("location", "/landed")
                self.send_header("content-length", "0")
                self.end_headers()
                return
            # Of a bucket named media: what S3 answers a write with.
            answer = b"" if self.path.startswith("/media/") else json.dumps({"path": self.path}).encode()
            self.send_response(201 if self.command == "POST" else 200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer)

        def chunks(self) -> bytes:
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = answer  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    seen = Web(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield seen
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def mail() -> Iterator[Mail]:
    class Handler:
        async def handle_EHLO(self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]) -> list[str]:  # noqa: N802
            seen.connections += 1
            session.host_name = hostname
            return responses

        async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
            seen.envelopes.append(envelope)
            return "250 OK"

    controller = AnyPort(Handler(), hostname="127.0.0.1", port=0, enable_SMTPUTF8=True)
    controller.start()
    seen = Mail("127.0.0.1", controller.port)
    yield seen
    controller.stop()

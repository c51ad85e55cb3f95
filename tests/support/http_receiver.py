"""An HTTP server that remembers what it was sent and answers as it is told."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

__all__ = ["Answer", "HttpReceiver", "Received", "http_receiver"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request gets; `body` as JSON."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: object = None


@dataclass(frozen=True, slots=True)
class Received:
    """One request; header names in lower case."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> object:
        return json.loads(self.body)


class HttpReceiver:
    """Gives `answers` one after the other, then `otherwise`; while `answering` is not set, nobody gets one."""

    def __init__(self, otherwise: Answer) -> None:
        self.url = ""
        self.answers: list[Answer] = []
        self.otherwise = otherwise
        self.received: list[Received] = []
        self.answering = threading.Event()
        self.answering.set()
        self._changed = threading.Condition()

    def wait_for(self, count: int, timeout_s: float = 20.0) -> list[Received]:
        """What was received, once it is that many requests."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.received) >= count, timeout_s), f"{len(self.received)} of {count} requests came"
            return list(self.received)

    def take(self, received: Received) -> Answer:
        """Remember a request; what it gets."""
        with self._changed:
            self.received.append(received)
            self._changed.notify_all()
            return self.answers.pop(0) if self.answers else self.otherwise


@contextmanager
def http_receiver(otherwise: Answer) -> Iterator[HttpReceiver]:
    """The server on a free port of 127.0.0.1 while the block runs."""
    receiver = HttpReceiver(otherwise)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = receiver.take(Received(self.path, headers, self.rfile.read(int(headers["content-length"]))))
            receiver.answering.wait(30.0)
            encoded = json.dumps(answer.body).encode()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(encoded)))
            # Who asked may be gone by now.
            with suppress(OSError):
                self.end_headers()
                self.wfile.write(encoded)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

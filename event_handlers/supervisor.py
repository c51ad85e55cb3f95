"""Several worker processes as one: forked after the imports, started again when they die, drained together, answered for together.

Single-threaded and without an event loop, because it forks. Handlers that start threads when they are imported cannot be forked safely;
a warning says so.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import logging
import os
import selectors
import signal
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from dualrun.health import REQUEST_MAX_BYTES, answer
from event_handlers.renewal import SourceWatch, can_begin_anew
from event_handlers.serving import Ending
from event_handlers.worker_report import WorkerReport, metrics_text, total

__all__ = ["EXIT_CONFIGURATION", "Supervisor"]

log = logging.getLogger("event_handlers.supervisor")

EXIT_CONFIGURATION = 2
_SILENT_S = 15.0
"""How long a process may say nothing before it counts as stuck."""
_RESTART_S = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_SETTLED_S = 60.0
"""A process that lived so long did not fail at its start: the next restart waits no longer than the first."""
_GRACE_S = 15.0
"""Beyond the drain: for outcomes to be recorded and connections to be closed."""
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
_TICK_S = 0.5
_CONNECTIONS_MAX = 64
_decode = msgspec.json.Decoder(WorkerReport).decode


@dataclass(slots=True)
class _Child:
    """One of the processes."""

    slot: int
    pid: int
    pipe: int
    born_at_s: float
    heard_at_s: float
    report: WorkerReport = field(default_factory=WorkerReport)
    rest: bytes = b""


class Supervisor:
    """Implements `Health` for all of them."""

    def __init__(
        self,
        work: Callable[[int], int],
        *,
        service: str,
        processes: int,
        drain_s: float,
        address: tuple[str, int] | None,
        watch_sources: bool,
    ) -> None:
        """`work` is what a child does: it reports to the file descriptor it is given, and answers with its exit code."""
        self._work = work
        self._service = service
        self._processes = processes
        self._drain_s = drain_s
        self._address = address
        self._watch = SourceWatch() if watch_sources else None
        self._selector = selectors.DefaultSelector()
        self._children: dict[int, _Child] = {}
        self._due: dict[int, float] = {}
        """Slots without a process: when the next is to be started."""
        self._failures = [0] * processes
        self._restarts = 0
        self._gone = WorkerReport(is_ready=True)
        """What processes that are no more had counted."""
        self._ending: Ending | None = None
        self._kill_at_s = float("inf")
        self._exit_code = 0

    def run(self) -> tuple[Ending, int]:
        """Until told to end, or until a process finds that the configuration cannot work: what for, and the exit code."""
        if threading.active_count() > 1:
            log.warning(
                "threads_before_fork", extra={"reason": "a module started threads when it was imported: they are not in the workers"}
            )
        wakes = self._listen_to_signals()
        listener = self._listen()
        gc.collect()
        gc.freeze()
        self._due = dict.fromkeys(range(self._processes), 0.0)
        try:
            while self._children or self._ending is None:
                self._turn(wakes)
        finally:
            for child in self._children.values():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child.pid, signal.SIGKILL)
            signal.set_wakeup_fd(-1)
            if listener is not None:
                listener.close()
        assert self._ending is not None
        return self._ending, self._exit_code

    def fault(self) -> str | None:
        now_s = time.monotonic()
        silent = [child.pid for child in self._children.values() if now_s - child.heard_at_s > _SILENT_S]
        return f"not heard of for {_SILENT_S:g} s: process {', '.join(map(str, silent))}" if silent else None

    def not_ready(self) -> str | None:
        if self._ending is not None:
            return "it is stopping"
        ready = sum(child.report.is_ready for child in self._children.values())
        return None if ready == self._processes else f"{ready} of {self._processes} processes consume"

    def metrics(self) -> bytes:
        report = total([self._gone, *(child.report for child in self._children.values())])
        return metrics_text(report, service=self._service, processes=len(self._children), restarts=self._restarts)

    def _turn(self, wakes: int) -> None:
        self._start_due()
        self._reap()
        for key, _ in self._selector.select(_TICK_S):
            if key.fd == wakes:
                self._take_signals(os.read(wakes, 64))
            else:
                call: Callable[[], None] = key.data
                call()
        if self._watch is not None and self._ending is None and self._watch.has_changed() and can_begin_anew():
            self._end(Ending.RELOAD)
        if time.monotonic() > self._kill_at_s:
            log.error("workers_killed", extra={"pids": sorted(self._children)})
            self._signal_children(signal.SIGKILL)
            self._kill_at_s = float("inf")

    # --- Processes ---

    def _start_due(self) -> None:
        now_s = time.monotonic()
        for slot in [slot for slot, due_s in self._due.items() if due_s <= now_s and self._ending is None]:
            del self._due[slot]
            self._start(slot)

    def _start(self, slot: int) -> None:
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        os.set_blocking(writing, False)
        pid = os.fork()
        if pid == 0:
            self._become_child(reading, writing)
        os.close(writing)
        now_s = time.monotonic()
        child = _Child(slot, pid, reading, now_s, now_s)
        self._children[pid] = child
        self._selector.register(reading, selectors.EVENT_READ, lambda: self._hear(child))

    def _become_child(self, reading: int, writing: int) -> None:
        """Never returns."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in _SIGNALS:
                signal.signal(number, signal.SIG_DFL)
            # A terminal signals the whole group; the supervisor passes on what is meant for each.
            for number in (signal.SIGHUP, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN)
            os.close(reading)
            for key in list(self._selector.get_map().values()):
                os.close(key.fd)
            self._selector.close()
            code = self._work(writing)
        except BaseException:
            log.exception("worker_failed")
        finally:
            logging.shutdown()
            os._exit(code)

    def _hear(self, child: _Child) -> None:
        if child.pipe < 0:
            # Its end and the signal of it came together, and the signal was dealt with first.
            return
        try:
            data = os.read(child.pipe, 1 << 16)
        except BlockingIOError:
            return
        if not data:
            self._selector.unregister(child.pipe)
            os.close(child.pipe)
            child.pipe = -1
            return
        *lines, child.rest = (child.rest + data).split(b"\n")
        if lines:
            child.report = _decode(lines[-1])
            child.heard_at_s = time.monotonic()

    def _reap(self) -> None:
        for pid, child in list(self._children.items()):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                if child.pipe >= 0:
                    self._hear(child)
                if child.pipe >= 0:
                    self._selector.unregister(child.pipe)
                    os.close(child.pipe)
                del self._children[pid]
                self._gone = msgspec.structs.replace(total([self._gone, child.report.ended()]), is_ready=True)
                self._note_end(child, os.waitstatus_to_exitcode(status))

    def _note_end(self, child: _Child, code: int) -> None:
        if self._ending is not None:
            return
        if code == EXIT_CONFIGURATION:
            # The others have the same configuration.
            self._exit_code = code
            self._end(Ending.STOPPED)
            return
        now_s = time.monotonic()
        if now_s - child.born_at_s > _SETTLED_S:
            self._failures[child.slot] = 0
        wait_s = _RESTART_S[min(self._failures[child.slot], len(_RESTART_S) - 1)]
        self._failures[child.slot] += 1
        self._restarts += 1
        self._due[child.slot] = now_s + wait_s
        log.error("worker_ended", extra={"pid": child.pid, "exit_code": code, "again_in_s": wait_s})

    # --- Signals ---

    def _listen_to_signals(self) -> int:
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        os.set_blocking(writing, False)
        signal.set_wakeup_fd(writing)
        for number in _SIGNALS:
            signal.signal(number, lambda *_: None)
        self._selector.register(reading, selectors.EVENT_READ)
        return reading

    def _take_signals(self, numbers: bytes) -> None:
        for number in numbers:
            if number == signal.SIGCHLD:
                self._reap()
            elif number == signal.SIGHUP:
                if self._ending is None and can_begin_anew():
                    self._end(Ending.RELOAD)
            elif self._ending is None:
                self._end(Ending.STOPPED)
            else:
                # A second signal means: now.
                self._signal_children(signal.SIGTERM)

    def _end(self, ending: Ending) -> None:
        log.info("workers_stopping", extra={"why": ending.value, "processes": len(self._children)})
        self._ending = ending
        self._kill_at_s = time.monotonic() + self._drain_s + _GRACE_S
        self._signal_children(signal.SIGTERM)

    def _signal_children(self, number: int) -> None:
        for pid in self._children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    # --- Questions ---

    def _listen(self) -> socket.socket | None:
        if self._address is None:
            return None
        listener = socket.create_server(self._address)
        listener.setblocking(False)
        self._selector.register(listener, selectors.EVENT_READ, lambda: self._accept(listener))
        return listener

    def _accept(self, listener: socket.socket) -> None:
        try:
            connection, _ = listener.accept()
        except OSError as exc:
            if exc.errno not in {errno.EAGAIN, errno.ECONNABORTED}:
                log.warning("question_not_accepted", extra={"error": str(exc)})
            return
        if len(self._selector.get_map()) > _CONNECTIONS_MAX + len(self._children):
            connection.close()
            return
        connection.setblocking(False)
        request = bytearray()
        self._selector.register(connection, selectors.EVENT_READ, lambda: self._answer(connection, request))

    def _answer(self, connection: socket.socket, request: bytearray) -> None:
        try:
            data = connection.recv(REQUEST_MAX_BYTES)
            request += data
            if data and b"\r\n\r\n" not in request and len(request) < REQUEST_MAX_BYTES:
                return
            if data:
                # It fits the buffer of a fresh connection; a reader that takes less gets less.
                connection.send(answer(bytes(request), self))
        except OSError:
            log.debug("question_broken_off")
        self._selector.unregister(connection)
        connection.close()

"""Real processes under test: started with their own environment, awaited by what they say or serve, and stopped whatever happens."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

import pytest

__all__ = ["REPOSITORY", "Process", "free_port"]

REPOSITORY = Path(__file__).resolve().parents[2]

START_TIMEOUT_S = 40.0
STOP_TIMEOUT_S = 20.0
TAIL_CHARACTERS = 4_000
POLL_S = 0.05


def _ports() -> Iterator[int]:
    """Below those the kernel gives out, where a connection or another server could get it first; a thousand for each test process."""
    first = 12_000 + 1_000 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return itertools.cycle(range(first, first + 1_000))


_candidates = _ports()


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on, and that nobody else is given."""
    for port in _candidates:
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("the candidates are endless")


class Process:
    """One process of the system, as a context manager: entering starts it, leaving stops it and every process it started.

    Every wait fails the test, with the end of the process's output, when the time is up or the process ends first. The waits block: in an
    async test that serves what the process needs, call them through `asyncio.to_thread`.
    """

    def __init__(self, name: str, command: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path = REPOSITORY) -> None:
        self.name = name
        self._command = list(command)
        self._env = {**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})}
        self._cwd = cwd
        self._popen: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._lines: list[str] = []
        self._changed = threading.Condition()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    # --- life ---

    def start(self) -> None:
        """Start it, or start it again after its end; its output goes on where it stopped."""
        self._popen = subprocess.Popen(
            self._command,
            env=self._env,
            cwd=self._cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, args=(self._popen,), name=f"{self.name}-output", daemon=True)
        self._reader.start()

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> int | None:
        """SIGTERM, then SIGKILL when it takes longer than `timeout_s`; the exit code. Doing it twice changes nothing."""
        if self._popen is None:
            return None
        if self._popen.poll() is None:
            self._popen.terminate()
            try:
                self._popen.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self.kill()
        self._kill_group()
        self._finish_output()
        return self._popen.returncode

    def terminate(self) -> None:
        """SIGTERM to the process itself; `wait` for its end."""
        self._running().terminate()

    def kill(self) -> None:
        """SIGKILL to it and to every process it started, as a crash of the machine would end them."""
        running = self._running()
        self._kill_group()
        running.wait(STOP_TIMEOUT_S)
        self._finish_output()

    def signal(self, number: signal.Signals) -> None:
        """Any other signal (SIGSTOP, SIGCONT, SIGHUP), to the process itself."""
        self._running().send_signal(number)

    def wait(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """The exit code, once it has ended by itself."""
        running = self._running()
        try:
            code = running.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.fail(f"still runs after {timeout_s} s")
        self._finish_output()
        return code

    # --- what it says and serves ---

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._running().pid

    @property
    def output(self) -> str:
        """Everything it has written so far, both streams."""
        with self._changed:
            return "".join(self._lines)

    def wait_for_output(self, pattern: str, *, count: int = 1, timeout_s: float = START_TIMEOUT_S) -> None:
        """Until `count` matches of a regular expression (`^` and `$` match at lines) have been written."""
        wanted = re.compile(pattern, re.MULTILINE)
        give_up_at = time.monotonic() + timeout_s
        with self._changed:
            while len(wanted.findall("".join(self._lines))) < count:
                left_s = give_up_at - time.monotonic()
                if left_s <= 0 or not self._alive():
                    break
                self._changed.wait(min(left_s, 1.0))
            else:
                return
        self.fail(f"never wrote {pattern!r}" + ("" if count == 1 else f" {count} times"))

    def wait_for_port(self, port: int, *, timeout_s: float = START_TIMEOUT_S) -> None:
        """Until 127.0.0.1:`port` takes connections."""

        def connect() -> bool:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except OSError:
                return False
            return True

        self.wait_until(connect, f"port {port} open", timeout_s=timeout_s)

    def wait_for_http(self, url: str, *, status: int = 200, timeout_s: float = START_TIMEOUT_S) -> None:
        """Until a GET of `url` answers with `status`."""

        def answers() -> bool:
            try:
                with urllib.request.urlopen(url, timeout=5) as answer:
                    return bool(answer.status == status)
            except urllib.error.HTTPError as exc:
                with exc:
                    return exc.code == status
            except OSError:
                return False

        self.wait_until(answers, f"{status} from {url}", timeout_s=timeout_s)

    def wait_until(self, condition: Callable[[], bool], what: str, *, timeout_s: float = START_TIMEOUT_S) -> None:
        """Until `condition` holds; `what` names it in the failure."""
        give_up_at = time.monotonic() + timeout_s
        while not condition():
            if not self._alive():
                self.fail(f"ended with {self._running().returncode} before there was {what}")
            if time.monotonic() > give_up_at:
                self.fail(f"no {what} after {timeout_s} s")
            time.sleep(POLL_S)

    def fail(self, reason: str) -> NoReturn:
        """Fail the test with the reason and the end of the output."""
        self._finish_output(only_if_ended=True)
        pytest.fail(f"{self.name}: {reason}\n--- the end of its output ---\n{self.output[-TAIL_CHARACTERS:]}", pytrace=False)

    # --- inside ---

    def _running(self) -> subprocess.Popen[str]:
        if self._popen is None:
            raise RuntimeError(f"{self.name} was never started")
        return self._popen

    def _alive(self) -> bool:
        return self._running().poll() is None

    def _read(self, popen: subprocess.Popen[str]) -> None:
        if popen.stdout is None:
            return
        with popen.stdout as stream:
            for line in stream:
                with self._changed:
                    self._lines.append(line)
                    self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def _finish_output(self, *, only_if_ended: bool = False) -> None:
        if self._reader is not None and not (only_if_ended and self._alive()):
            self._reader.join(STOP_TIMEOUT_S)

    def _kill_group(self) -> None:
        try:
            os.killpg(self._running().pid, signal.SIGKILL)
        except ProcessLookupError:
            return

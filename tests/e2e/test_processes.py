"""The stand the end-to-end tests are built on: it waits for facts, and a failure shows what the process said."""

from __future__ import annotations

import socket
import sys

import psutil
import pytest

from tests.support.processes import Process, free_port

pytestmark = pytest.mark.e2e


def a_process(code: str) -> Process:
    return Process("sample", [sys.executable, "-c", code])


def test_output_is_awaited_and_the_exit_code_told() -> None:
    with a_process("print('ready'); raise SystemExit(3)") as process:
        process.wait_for_output("^ready$")
        assert process.wait() == 3


def test_a_process_that_ends_too_early_fails_the_test_with_what_it_said() -> None:
    with a_process("raise SystemExit('no settings')") as process:
        with pytest.raises(pytest.fail.Exception, match=r"(?s)sample: never wrote 'ready'.*no settings"):
            process.wait_for_output("ready")
        with pytest.raises(pytest.fail.Exception, match=r"(?s)sample: ended with 1 before there was port.*no settings"):
            process.wait_for_port(free_port())


def test_http_is_awaited() -> None:
    port = free_port()
    with Process("http", [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]) as process:
        process.wait_for_http(f"http://127.0.0.1:{port}/pyproject.toml")
        process.wait_for_http(f"http://127.0.0.1:{port}/nothing-here", status=404)


def test_leaving_ends_the_children_too() -> None:
    code = (
        "import subprocess,sys; c = subprocess.Popen([sys.executable,'-c','input()'],stdin=subprocess.PIPE); print('child',c.pid); c.wait()"
    )
    with a_process(code) as process:
        process.wait_for_output(r"child \d+")
        child = psutil.Process(int(process.output.split()[1]))
    psutil.wait_procs([child], timeout=5)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_a_killed_process_can_be_started_again() -> None:
    with a_process("import signal; print('ready', flush=True); signal.pause()") as process:
        process.wait_for_output("ready")
        process.kill()
        process.start()
        process.wait_for_output("ready", count=2)
        assert process.stop() == -15


def test_a_free_port_is_free() -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        assert free_port() != port

"""Run a command with RabbitMQ, Redis and PostgreSQL at hand: `python -m tools.services [--skip WAY,...] -- COMMAND ...`.

For each server, in this order: the one an environment variable names (`DUALRUN_TEST_AMQP_URL`, `DUALRUN_TEST_REDIS_URL`,
`DUALRUN_TEST_POSTGRES_URL`); one running on its standard local port; an installed one, started on a private port; one in a container; one
from Debian's packages. What was started is stopped at the end. Chromium is looked for on the PATH (`DUALRUN_TEST_CHROMIUM` names another),
and comes from Debian's packages where there is none. The exit status is the command's, or 69 when a server cannot be had.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from types import FrameType

from tools.services.browser import find_browser
from tools.services.container import start_container
from tools.services.debian import install_and_start
from tools.services.found import Found, NotFound, Service
from tools.services.private import start_installed
from tools.services.running import from_environment, on_standard_port

SERVICES = (
    Service("RabbitMQ", "DUALRUN_TEST_AMQP_URL", 5672, "rabbitmq-server"),
    Service("Redis", "DUALRUN_TEST_REDIS_URL", 6379, "redis-server"),
    Service("PostgreSQL", "DUALRUN_TEST_POSTGRES_URL", 5432, "postgresql"),
)
WAYS: dict[str, Callable[[Service], Found | NotFound]] = {
    "environment": from_environment,
    "running": on_standard_port,
    "installed": start_installed,
    "container": start_container,
    "debian": install_and_start,
}
EX_UNAVAILABLE = 69


def main() -> int:
    """Find or start the servers, run the command, stop what was started."""
    arguments = _arguments()
    skipped = {way for way in arguments.skip.split(",") if way}
    unknown = skipped - set(WAYS)
    if unknown:
        sys.exit(f"--skip knows {', '.join(WAYS)}; not {', '.join(sorted(unknown))}")
    signal.signal(signal.SIGTERM, _leave)
    with ExitStack() as started:
        env = dict(os.environ)
        missing = [service for service in SERVICES if not _provide(service, skipped, env, started)]
        _provide_browser(skipped, env)
        if missing:
            _explain(missing)
            return EX_UNAVAILABLE
        return _run(arguments.command, env)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tools.services", description="Run a command with RabbitMQ, Redis and PostgreSQL at hand."
    )
    parser.add_argument("--skip", default=os.environ.get("DUALRUN_TEST_SKIP", ""), help=f"ways not to try, of {', '.join(WAYS)}")
    parser.add_argument("command", nargs="+", help="what to run")
    return parser.parse_args()


def _leave(_signum: int, _frame: FrameType | None) -> None:
    sys.exit(128 + signal.SIGTERM)


def _provide(service: Service, skipped: set[str], env: dict[str, str], started: ExitStack) -> bool:
    reasons: list[str] = []
    for name, way in WAYS.items():
        if name in skipped:
            continue
        result = way(service)
        if isinstance(result, Found):
            started.callback(result.stop)
            env.update(result.env)
            print(f"{service.name}: {result.how}", flush=True)
            return True
        reasons.append(f"  {name}: {result.why}")
    print(f"{service.name}: not found\n" + "\n".join(reasons), flush=True)
    return False


def _provide_browser(skipped: set[str], env: dict[str, str]) -> None:
    """Only the tests of the console need one, and say so themselves where there is none."""
    result = find_browser(install="debian" not in skipped)
    if isinstance(result, Found):
        env.update(result.env)
    print(f"Chromium: {result.how if isinstance(result, Found) else 'not found: ' + result.why}", flush=True)


def _explain(missing: list[Service]) -> None:
    names = ", ".join(service.name for service in missing)
    packages = " ".join(service.debian_package for service in missing)
    variables = ", ".join(service.url_variable for service in missing)
    print(
        f"The tests need {names}. Any one of these will do:\n"
        f"  install them (Debian, Ubuntu: apt-get install {packages}); they need not be running\n"
        f"  start a Docker engine with the compose plugin\n"
        f"  set {variables} to servers the tests may use",
        flush=True,
    )


def _run(command: list[str], env: dict[str, str]) -> int:
    process = subprocess.Popen(command, env=env)  # noqa: S603
    try:
        return process.wait()
    except KeyboardInterrupt:
        return process.wait()
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    sys.exit(main())

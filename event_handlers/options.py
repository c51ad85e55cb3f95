"""What `python -m event_handlers` can be told, on the command line or by the environment."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from dualrun.errors import ConfigurationError
from dualrun.settings import WorkerSettings

__all__ = ["add_watching", "parser"]


def parser(env: Mapping[str, str], settings: WorkerSettings) -> argparse.ArgumentParser:
    """The options, with what the environment says as their defaults."""
    made = argparse.ArgumentParser(prog="python -m event_handlers", description="Run event handlers on their service's queues.")
    made.add_argument(
        "--handlers",
        default=env.get("DUALRUN_HANDLERS", "event_handlers.handlers"),
        help="module or package with the handlers [DUALRUN_HANDLERS; %(default)s]",
    )
    made.add_argument(
        "--service",
        default=settings.service,
        help="names the queues; workers of one service share the work [DUALRUN_SERVICE; %(default)s]",
    )
    for name, default, meaning in (
        ("processes", "1", "worker processes; with several, one more supervises them"),
        ("concurrency", "64", "authority events at work at a time, in each process"),
        ("shadow-concurrency", "8", "shadow events at work at a time, in each process"),
        ("threads", "16", "handlers written as plain functions at work at a time, in each process"),
    ):
        variable = f"DUALRUN_{name.upper().replace('-', '_')}"
        made.add_argument(
            f"--{name}", type=_count, default=env.get(variable, default), metavar="N", help=f"{meaning} [{variable}; %(default)s]"
        )
    made.add_argument(
        "--prefetch",
        type=_count,
        default=env.get("DUALRUN_PREFETCH"),
        metavar="N",
        help="authority events in the hands of one process, at work or waiting [DUALRUN_PREFETCH; twice the concurrency, at least 64]",
    )
    made.add_argument(
        "--priorities",
        action=argparse.BooleanOptionalAction,
        default=_is_on(env, "DUALRUN_EVENTS_PRIORITIES"),
        help="a submission's priority counts among what waits: one node of RabbitMQ keeps the queue then, and a message that kills its "
        "worker comes again for ever. The same for all workers of a service [DUALRUN_EVENTS_PRIORITIES, 1 or 0; off]",
    )
    made.add_argument(
        "--drain-s",
        type=float,
        default=env.get("DUALRUN_DRAIN_S", "20"),
        metavar="S",
        help="seconds that running handlers get to finish on SIGTERM [DUALRUN_DRAIN_S; %(default)s]",
    )
    made.add_argument("--reload", action="store_true", help="begin anew when a source file changes; SIGHUP does so at any time")
    made.add_argument("--check", action="store_true", help="import the handlers, say what they serve, and end")
    add_watching(made, env)
    return made


def add_watching(made: argparse.ArgumentParser, env: Mapping[str, str]) -> None:
    """How a process is watched: where it answers, and how it logs."""
    made.add_argument(
        "--metrics-host", default=env.get("DUALRUN_METRICS_HOST", "127.0.0.1"), help="[DUALRUN_METRICS_HOST; %(default)s]", metavar="HOST"
    )
    made.add_argument(
        "--metrics-port",
        type=int,
        default=env.get("DUALRUN_METRICS_PORT"),
        metavar="PORT",
        help="where /healthz, /readyz and /metrics are answered [DUALRUN_METRICS_PORT; nowhere]",
    )
    made.add_argument(
        "--log-level",
        default=env.get("DUALRUN_LOG_LEVEL", "info"),
        choices=["debug", "info", "warning", "error"],
        help="[DUALRUN_LOG_LEVEL; %(default)s]",
    )
    made.add_argument(
        "--log-format",
        default=env.get("DUALRUN_LOG_FORMAT", "text"),
        choices=["text", "json"],
        help="json: one object a line, with submission and trace ids [DUALRUN_LOG_FORMAT; %(default)s]",
    )


def _is_on(env: Mapping[str, str], variable: str) -> bool:
    text = env.get(variable) or "0"
    if text not in {"0", "1"}:
        raise ConfigurationError(f"{variable} is {text!r}, should be 1 or 0")
    return text == "1"


def _count(text: str) -> int:
    count = int(text)
    if not 1 <= count <= 10_000:
        raise argparse.ArgumentTypeError(f"{text} should be from 1 to 10000")
    return count

"""`dualrun run`, `demo`, `gateway` and `comparator`: the commands that are processes."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeAlias

import msgspec
import typer

from gateway.cli.option import FormatOption
from gateway.cli.output import Format, print_table, progress_bar, show

__all__ = ["comparator", "demo", "gateway", "run"]


class LogLevel(StrEnum):
    """From which level on is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """How lines are written."""

    TEXT = "text"
    JSON = "json"


LogLevelOption: TypeAlias = Annotated[LogLevel, typer.Option("--log-level", envvar="DUALRUN_LOG_LEVEL", help="From which level on.")]
LogFormatOption: TypeAlias = Annotated[
    LogFormat,
    typer.Option("--log-format", envvar="DUALRUN_LOG_FORMAT", help="json: an object a line, with submission and trace ids."),
]
_LAST_ANSWERS_S = 5
"""How long a gateway that stops waits for answers under way: streams have no end of their own."""
_FLAGS_FILE = Path("config/flags.yaml")
_RULES_DIR = Path("config/rules")


def run(
    port: Annotated[int, typer.Option(help="Port of the gateway; 0 takes a free one.")] = 8080,
    state_dir: Annotated[Path, typer.Option(envvar="DUALRUN_STATE_DIR", help="Where the ledger is kept.")] = Path(".dualrun"),
    flags_file: Annotated[Path, typer.Option(envvar="DUALRUN_FLAGS_FILE", help="Flags, applied when it changes.")] = _FLAGS_FILE,
    rules_dir: Annotated[Path, typer.Option(envvar="DUALRUN_RULES_DIR", help="Rules of comparison, a file a task.")] = _RULES_DIR,
    faulty: Annotated[bool, typer.Option("--faulty", help="Use sample handlers with planted faults.")] = False,
) -> None:
    """Run everything in this process: gateway, Celery worker, event handlers, comparator, ledger and the sample shop.

    With DUALRUN_ACCESS=required callers need an access token, as on a server. Exit code 2: then DUALRUN_ADMIN_TOKEN is missing.
    Example: dualrun run --faulty
    """
    from dualrun.errors import ConfigurationError
    from gateway.embedded.demo import FAULTY_HANDLERS
    from gateway.embedded.server import listen
    from gateway.embedded.stack import EmbeddedOptions

    _log(logging.WARNING)
    handlers = {"handlers": FAULTY_HANDLERS} if faulty else {}
    options = EmbeddedOptions.from_env(state_dir=state_dir, flags_file=flags_file, rules_dir=_there(rules_dir), **handlers)
    try:
        listener = listen("127.0.0.1", port)
    except OSError as exc:
        typer.secho(f"dualrun: port {port} is taken; name another with --port ({exc.strerror})", fg="red", err=True)
        raise typer.Exit(3) from exc
    try:
        with listener:
            asyncio.run(_run_embedded(options, listener))
    except ConfigurationError as exc:
        typer.secho(f"dualrun: {exc}", fg="red", err=True)
        raise typer.Exit(2) from exc
    typer.echo("stopped; what was accepted has been worked off")


def demo(
    once: Annotated[bool, typer.Option("--once", help="Print the result and leave; otherwise keep the stack running.")] = False,
    count: Annotated[int, typer.Option("--count", min=1, help="Sample tasks to submit.")] = 500,
    seed: Annotated[int, typer.Option(help="Another seed, other traffic.")] = 0,
    port: Annotated[int, typer.Option(help="Port of the gateway that stays, without --once.")] = 8080,
    format: FormatOption = Format.TABLE,
) -> None:
    """Submit sample tasks in shadow, with planted faults and without, and show what the comparison finds.

    Exit code 1 when a planted fault was missed or there was a false alarm.

    Example: dualrun demo --once --format json
    """
    from gateway.embedded.demo import run_demo

    # The sample tasks fail on purpose in places: their log lines would drown the result.
    logging.disable(logging.ERROR)
    with progress_bar() as bar:
        judged = bar.add_task("comparing, with faults and without", total=2 * count)
        result = asyncio.run(run_demo(count, seed, told=lambda done: bar.update(judged, completed=done)))
    logging.disable(logging.NOTSET)
    view = msgspec.to_builtins(result)

    def table() -> None:
        print_table(("", ""), [(name, value) for name, value in view.items() if name != "faults"])
        print_table(("planted fault", "task", "path", "seen"), [(f.fault, f.task, f.path, f.count) for f in result.faults])

    show(view, format, table)
    if not once:
        run(port=port, faulty=True)
    if result.planted_found < result.planted or result.false_alarms:
        raise typer.Exit(1)


def gateway(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8080,
    log_level: LogLevelOption = LogLevel.INFO,
    log_format: LogFormatOption = LogFormat.TEXT,
) -> None:
    """Run one gateway process on RabbitMQ, Redis and the ledger's database; run as many as you like.

    On any address but loopback callers need an access token: set DUALRUN_ADMIN_TOKEN first. Exit code 2: it may not listen so.
    Example: dualrun gateway --port 8080
    """
    import uvicorn
    from pydantic import ValidationError

    from dualrun.errors import ConfigurationError
    from gateway.app.access import check_access
    from gateway.settings import Settings

    _log(log_level.upper(), log_format)
    # The application is made by uvicorn's factory: only so it hears where it will listen.
    os.environ["DUALRUN_LISTEN_HOST"] = host
    try:
        settings = Settings()
        check_access(settings)
    except (ConfigurationError, ValidationError) as exc:
        typer.secho(f"dualrun: {_reason(exc)}", fg="red", err=True)
        raise typer.Exit(2) from exc
    if not settings.access_required:
        typer.secho(f"dualrun: access control is off: whoever can reach {host} on this machine may do everything", fg="yellow", err=True)
    uvicorn.run(
        "gateway.app:create_app",
        factory=True,
        host=host,
        port=port,
        # Its lines are those of the process.
        log_config=None,
        log_level=log_level.value,
        access_log=False,
        timeout_graceful_shutdown=_LAST_ANSWERS_S,
    )


def comparator(
    log_level: LogLevelOption = LogLevel.INFO,
    log_format: LogFormatOption = LogFormat.TEXT,
    metrics_port: Annotated[int | None, typer.Option(help="Port for Prometheus and health checks; none where left out.")] = None,
    metrics_host: Annotated[str, typer.Option(help="Address for it.")] = "127.0.0.1",
) -> None:
    """Run one comparator: it writes the ledger, pairs outcomes, compares them. Several may compete.

    Example: dualrun comparator
    """
    _log(log_level.upper(), log_format)
    asyncio.run(_run_comparator(metrics_host, metrics_port))


async def _run_embedded(options: object, listener: socket.socket) -> None:
    from gateway.embedded.server import serve_until_interrupted
    from gateway.embedded.stack import EmbeddedOptions, open_embedded

    assert isinstance(options, EmbeddedOptions)
    async with open_embedded(options) as stack:
        host, port = listener.getsockname()[:2]
        typer.echo(_WELCOME.format(url=f"http://{host}:{port}", shop=stack.shop_url or "yours"))
        sys.stdout.flush()
        await serve_until_interrupted(stack, listener)
        typer.echo("draining ...")


async def _run_comparator(metrics_host: str, metrics_port: int | None) -> None:
    from gateway.app import open_comparator
    from gateway.metrics import registry_of, serving_counts
    from gateway.otlp_metrics import exporting_metrics
    from gateway.settings import Settings

    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    async with open_comparator(Settings()) as running:
        comparator, gate, retention = running.comparator, running.gate, running.retention
        registry = registry_of(lambda: {**comparator.counts(), **gate.counts(), **retention.counts()}, gate)
        with serving_counts(metrics_host, metrics_port, registry), exporting_metrics("dualrun-comparator", registry):
            await comparator.start()
            await gate.start()
            await retention.start()
            logging.getLogger(__name__).info("comparator_ready")
            await stop.wait()
            await retention.stop()
            await gate.stop()
            await comparator.stop()


def _reason(exc: Exception) -> str:
    """One line; of settings that are wrong their names, never their values."""
    from pydantic import ValidationError

    if not isinstance(exc, ValidationError):
        return str(exc)
    return "; ".join(f"DUALRUN_{'_'.join(map(str, error['loc'])).upper()}: {error['msg']}" for error in exc.errors(include_input=False))


def _there(path: Path) -> Path | None:
    return path if path.exists() else None


def _log(level: int | str, format: LogFormat = LogFormat.TEXT) -> None:
    from dualrun.log_line import JsonLine, LogLine, log_to_stderr

    log_to_stderr(level, JsonLine() if format is LogFormat.JSON else LogLine())
    os.environ.setdefault("PYTHONUNBUFFERED", "1")


_WELCOME = """
dualrun is up: {url}   (sample shop: {shop})

1. Observe a task: legacy answers, the event handler runs beside it as a shadow.
   curl -X PUT {url}/v1/flags/order.send_order_confirmation -H 'Content-Type: application/json' \\
        -d '{{"mode": "shadow", "shadow_percent": 100, "safety": "sandboxed"}}'
2. Submit one.
   curl -X POST {url}/v1/tasks -H 'Content-Type: application/json' \\
        -d '{{"task": "order.send_order_confirmation", "args": [42, "ann@example.org"]}}'
3. Read what both sides did.
   curl '{url}/v1/reports/shadow?format=markdown'

Console: {url}/console/     Report: {url}/v1/reports/shadow?format=html     API: {url}/docs     Ctrl-C stops and drains.
"""

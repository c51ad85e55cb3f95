"""`dualrun run`, `demo`, `gateway` and `comparator`: the commands that are processes."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from gateway.cli.output import Format, print_table

__all__ = ["comparator", "demo", "gateway", "run"]

_LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_FLAGS_FILE = Path("config/flags.yaml")
_RULES_DIR = Path("config/rules")


def run(
    port: Annotated[int, typer.Option(help="Port of the gateway; 0 takes a free one.")] = 8080,
    state_dir: Annotated[Path, typer.Option(help="Where the ledger is kept.")] = Path(".dualrun"),
    faulty: Annotated[bool, typer.Option("--faulty", help="Use sample handlers with planted faults.")] = False,
) -> None:
    """Run everything in this process: gateway, Celery worker, event handlers, comparator, ledger and the sample shop.

    Example: dualrun run --faulty
    """
    from gateway.embedded.demo import FAULTY_HANDLERS
    from gateway.embedded.server import listen
    from gateway.embedded.stack import EmbeddedOptions

    _log(logging.WARNING)
    handlers = {"handlers": FAULTY_HANDLERS} if faulty else {}
    options = EmbeddedOptions.from_env(state_dir=state_dir, flags_file=_there(_FLAGS_FILE), rules_dir=_there(_RULES_DIR), **handlers)
    try:
        listener = listen("127.0.0.1", port)
    except OSError as exc:
        typer.secho(f"dualrun: port {port} is taken; name another with --port ({exc.strerror})", fg="red", err=True)
        raise typer.Exit(3) from exc
    with listener:
        asyncio.run(_run_embedded(options, listener))
    typer.echo("stopped; what was accepted has been worked off")


def demo(
    once: Annotated[bool, typer.Option("--once", help="Print the result and leave; otherwise keep the stack running.")] = False,
    count: Annotated[int, typer.Option("--count", min=1, help="Sample tasks to submit.")] = 500,
    seed: Annotated[int, typer.Option(help="Another seed, other traffic.")] = 0,
    port: Annotated[int, typer.Option(help="Port of the gateway that stays, without --once.")] = 8080,
    format: Annotated[Format, typer.Option("--format", help="table for people, json for programs.")] = Format.TABLE,
) -> None:
    """Submit sample tasks in shadow, with planted faults and without, and show what the comparison finds.

    Exit code 1 when a planted fault was missed or there was a false alarm. Example: dualrun demo --once --format json
    """
    from gateway.embedded.demo import run_demo

    # The sample tasks fail on purpose in places: their log lines would drown the result.
    logging.disable(logging.ERROR)
    result = asyncio.run(run_demo(count, seed))
    logging.disable(logging.NOTSET)
    if format is Format.JSON:
        typer.echo(msgspec.json.format(msgspec.json.encode(result), indent=2).decode())
    else:
        shown = msgspec.to_builtins(result)
        print_table(("", ""), [(name, value) for name, value in shown.items() if name != "faults"])
        print_table(("planted fault", "task", "path", "seen"), [(f.fault, f.task, f.path, f.count) for f in result.faults])
    if not once:
        run(port=port, faulty=True)
    if result.planted_found < result.planted or result.false_alarms:
        raise typer.Exit(1)


def gateway(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8080,
    log_level: Annotated[str, typer.Option(help="debug, info, warning, error.")] = "info",
) -> None:
    """Run one gateway process on RabbitMQ, Redis and the ledger's database; run as many as you like.

    Example: dualrun gateway --port 8080
    """
    import uvicorn

    _log(logging.getLevelName(log_level.upper()))
    if host not in _LOOPBACK:
        typer.secho(
            f"dualrun: listening on {host}: the API has no authentication yet, so let nobody but your own network reach it",
            fg="yellow",
            err=True,
        )
    uvicorn.run("gateway.app:create_app", factory=True, host=host, port=port, log_level=log_level, access_log=False)


def comparator(
    log_level: Annotated[str, typer.Option(help="debug, info, warning, error.")] = "info",
    metrics_port: Annotated[int | None, typer.Option(help="Port for Prometheus and health checks; none where left out.")] = None,
    metrics_host: Annotated[str, typer.Option(help="Address for it.")] = "127.0.0.1",
) -> None:
    """Run one comparator: it writes the ledger, pairs outcomes, compares them. Several may compete.

    Example: dualrun comparator
    """
    _log(logging.getLevelName(log_level.upper()))
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
    from gateway.metrics import serving_counts
    from gateway.settings import Settings

    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    async with open_comparator(Settings()) as running:
        with serving_counts(metrics_host, metrics_port, running.counts):
            await running.start()
            logging.getLogger(__name__).info("comparator_ready")
            await stop.wait()
            await running.stop()


def _there(path: Path) -> Path | None:
    return path if path.exists() else None


def _log(level: int) -> None:
    logging.basicConfig(level=level, format=_LOG_FORMAT, stream=sys.stderr)
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

Report in the browser: {url}/v1/reports/shadow?format=html     API: {url}/docs     Ctrl-C stops and drains.
"""

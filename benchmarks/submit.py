"""Submitting: the gateway against FastAPI + `celery.send_task`, on one RabbitMQ, in turn, in one run.

Both publish persistent messages to the same durable queue. The gateway waits for the broker's confirm of the task and of its record;
the peer's `send_task` asks for no confirm. Nobody consumes: the queues are purged between rounds. Run: `python -m benchmarks.submit`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil
import uvloop

from benchmarks.http_load import Load, run_load
from benchmarks.machine import machine
from dualrun.announce_redis import RedisAnnouncer
from dualrun.contracts import Announcement, ServedTask, Side
from dualrun.contracts.topology import RECORDS_QUEUE

RESULTS = Path(__file__).parent / "results" / "submit.json"
TASK = "bench.noop"
BATCH_CONNECTIONS = 8
QUEUE = "dualrun-bench"
QUEUE_TYPES = ("quorum", "classic")
"""The first is what RabbitMQ and Celery advise for work that must not be lost, and what the ratios at the top are of."""
SINGLE = json.dumps({"task": TASK, "args": [42, "ann@example.org"], "kwargs": {"note": "x" * 64}}).encode()


@dataclass(frozen=True, slots=True)
class Target:
    """A running server."""

    name: str
    port: int
    path: str
    process: subprocess.Popen[bytes]

    @property
    def rss_mib(self) -> float:
        return float(psutil.Process(self.process.pid).memory_info().rss) / 2**20


def main() -> None:
    """Run the rounds for each type of queue, print the tables, write the JSON."""
    options = _options()
    measured = {kind: _measured(options, kind) for kind in QUEUE_TYPES}
    report = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine("fastapi", "uvicorn", "celery", "kombu", "aio-pika", "msgspec"),
        "settings": {
            "connections": options.connections,
            "rounds": options.rounds,
            "seconds": options.seconds,
            "batch": options.batch,
            "batch_connections": BATCH_CONNECTIONS,
            "processes": "one uvicorn process each; broker, load and server share the machine's cores",
            "confirms": "gateway: authority message and record; peer: none",
            "comparator": "not running during the measurement",
        },
        "ratios": measured[QUEUE_TYPES[0]]["ratios"],
        "by_queue_type": measured,
    }
    RESULTS.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    for kind, result in measured.items():
        _print(kind, result)
    print(f"written to {RESULTS}")


def _measured(options: argparse.Namespace, kind: str) -> dict[str, object]:
    with ExitStack() as stack:
        stack.callback(_delete, options.amqp_url)
        _declare(options.amqp_url, kind)
        peer = stack.enter_context(_peer(options.amqp_url, kind))
        gateway = stack.enter_context(_gateway(options))
        return uvloop.run(_measure(options, peer, gateway))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--amqp-url", default=os.environ.get("DUALRUN_AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/"))
    parser.add_argument("--redis-url", default=os.environ.get("DUALRUN_REDIS_URL", "redis://127.0.0.1:6379/0"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=6.0, help="of each round and target")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--batch", type=int, default=500, help="tasks a batch request")
    return parser.parse_args()


async def _measure(options: argparse.Namespace, peer: Target, gateway: Target) -> dict[str, object]:
    batch = Target(gateway.name, gateway.port, "/v1/tasks/batch", gateway.process)
    batch_body = b'{"tasks":[' + b",".join([SINGLE] * options.batch) + b"]}"
    loads: dict[str, list[Load]] = {"peer": [], "single": [], "batch": []}
    rss: list[float] = []
    for target, body in ((peer, SINGLE), (gateway, SINGLE), (batch, batch_body)):
        await run_load("127.0.0.1", target.port, target.path, body, connections=4, seconds=1.0)
    for _ in range(options.rounds):
        for name, target, body, connections in (
            ("peer", peer, SINGLE, options.connections),
            ("single", gateway, SINGLE, options.connections),
            ("batch", batch, batch_body, BATCH_CONNECTIONS),
        ):
            loads[name].append(
                await run_load("127.0.0.1", target.port, target.path, body, connections=connections, seconds=options.seconds)
            )
            rss.append(gateway.rss_mib)
            _purge(options.amqp_url)
            await asyncio.sleep(0.5)
    return _report(options, loads, rss, peer)


def _report(options: argparse.Namespace, loads: dict[str, list[Load]], rss: list[float], peer: Target) -> dict[str, object]:
    per_s = {name: [load.per_s * (options.batch if name == "batch" else 1) for load in runs] for name, runs in loads.items()}
    p99 = {name: [load.quantile_ms(0.99) for load in runs] for name, runs in loads.items()}
    p50 = {name: [load.quantile_ms(0.50) for load in runs] for name, runs in loads.items()}

    def ratio(top: list[float], bottom: list[float]) -> float:
        return round(statistics.median(a / b for a, b in zip(top, bottom, strict=True)), 2)

    return {
        "ratios": {
            "single_throughput": ratio(per_s["single"], per_s["peer"]),
            "batch_throughput": ratio(per_s["batch"], per_s["peer"]),
            "p99": ratio(p99["peer"], p99["single"]),
        },
        "per_s": {name: [round(value) for value in values] for name, values in per_s.items()},
        "p50_ms": {name: [round(value, 2) for value in values] for name, values in p50.items()},
        "p99_ms": {name: [round(value, 2) for value in values] for name, values in p99.items()},
        "failures": {name: sum(load.failures for load in runs) for name, runs in loads.items()},
        "gateway_rss_mib": {"max": round(max(rss), 1), "last": round(rss[-1], 1)},
        "peer_rss_mib": round(peer.rss_mib, 1),
    }


def _print(kind: str, report: dict[str, object]) -> None:
    per_s, p50, p99 = report["per_s"], report["p50_ms"], report["p99_ms"]
    assert isinstance(per_s, dict)
    assert isinstance(p50, dict)
    assert isinstance(p99, dict)
    names = {"peer": "FastAPI + send_task", "single": "POST /v1/tasks", "batch": "POST /v1/tasks/batch"}
    rounds = len(per_s["peer"])
    print(f"{kind + ' queue':24}{'tasks/s':>10}{'p50 ms':>10}{'p99 ms':>10}   (medians of {rounds} rounds; batch times are a request's)")
    for name, title in names.items():
        print(
            f"{title:24}{statistics.median(per_s[name]):>10.0f}{statistics.median(p50[name]):>10.2f}{statistics.median(p99[name]):>10.2f}"
        )
    print(f"ratios: {report['ratios']}   failures: {report['failures']}   gateway RSS MiB: {report['gateway_rss_mib']}")


@contextmanager
def _peer(amqp_url: str, kind: str) -> Iterator[Target]:
    with _server("benchmarks.peer:app", {"BENCH_AMQP_URL": amqp_url, "BENCH_QUEUE": QUEUE, "BENCH_QUEUE_TYPE": kind}) as (process, port):
        yield Target("peer", port, "/tasks", process)


@contextmanager
def _gateway(options: argparse.Namespace) -> Iterator[Target]:
    with tempfile.TemporaryDirectory() as state, ExitStack() as stack:
        prefix = f"dualrun-bench-{os.getpid()}:"
        served = ServedTask(task=TASK, routing_key=QUEUE)
        RedisAnnouncer(options.redis_url, prefix).announce(
            Announcement(worker="bench", side=Side.LEGACY, service="bench", tasks=(served,), ttl_s=3_600.0)
        )
        env = {
            "DUALRUN_AMQP_URL": options.amqp_url,
            "DUALRUN_REDIS_URL": options.redis_url,
            "DUALRUN_REDIS_PREFIX": prefix,
            "DUALRUN_LEDGER_URL": f"sqlite:///{state}/ledger.sqlite",
            "DUALRUN_STATE_DIR": state,
            "DUALRUN_ACCESS": "off",
        }
        stack.callback(_forget, options.redis_url, prefix)
        process, port = stack.enter_context(_server("gateway.app:create_app", env, factory=True))
        yield Target("gateway", port, "/v1/tasks", process)


@contextmanager
def _server(app: str, env: dict[str, str], *, factory: bool = False) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", app, "--port", str(port), "--no-access-log", "--log-level", "warning"]
    process = subprocess.Popen([*command, *(["--factory"] if factory else [])], env={**os.environ, **env})
    try:
        await_port(port, process)
        yield process, port
    finally:
        process.terminate()
        process.wait(20)


def await_port(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise SystemExit(f"nothing listens on port {port}; exit code {process.poll()}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _declare(amqp_url: str, kind: str) -> None:
    """The durable queue both sides publish to, as a Celery worker would declare it."""
    from kombu.connection import Connection

    with Connection(amqp_url) as connection:
        connection.default_channel.queue_declare(QUEUE, durable=True, auto_delete=False, arguments={"x-queue-type": kind})


def _delete(amqp_url: str) -> None:
    from kombu.connection import Connection

    with Connection(amqp_url) as connection:
        connection.default_channel.queue_delete(QUEUE)


def _purge(amqp_url: str) -> None:
    """Empty the queues, so that a later round does not pay for what an earlier one left."""
    from kombu.connection import Connection

    with Connection(amqp_url) as connection:
        for queue in (QUEUE, RECORDS_QUEUE):
            connection.default_channel.queue_purge(queue)


def _forget(redis_url: str, prefix: str) -> None:
    from redis import Redis

    with Redis.from_url(redis_url) as redis:
        for key in redis.scan_iter(f"{prefix}*"):
            redis.delete(key)


if __name__ == "__main__":
    main()

"""The event runtime against `celery worker`: the same tasks from the same RabbitMQ, in turn, in one run.

Both take their work from a durable quorum queue, ack it after the work, and record every result where it outlives them: Celery in its
Redis result backend, the event runtime as outcomes confirmed by RabbitMQ. Give it a broker and a Redis that nothing else uses meanwhile:
it empties the queue of records. Run: `make bench NAME=runtime`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import uvloop
from kombu.connection import Connection

from benchmarks.machine import machine
from benchmarks.runtime_load import Drain, Floor, Paced, drain, floor, paced, warm
from benchmarks.runtime_sides import PROCESSES, TASKS, CelerySide, EventsSide, Places, WorkerSide, forget, purge
from benchmarks.runtime_table import RESULTS, refresh
from benchmarks.runtime_work import calibrated_rounds
from benchmarks.submit import await_port, free_port
from dualrun.broker.rabbitmq import RabbitBroker
from dualrun.contracts.topology import RECORDS_QUEUE

NOOP, IO, HTTP, CPU = TASKS
CPU_S = 0.001
# Threads in each of Celery's processes: what gave most of 2, 4, 8, 16, 32, 64 and 128, task by task.
CELERY_THREADS = {NOOP: 8, IO: 32, HTTP: 16, CPU: 2}
CELERY_PREFETCH = 128
# Events at work at a time in each process: the default, and where waiting makes the time, four times as many.
EVENTS_CONCURRENCY = {NOOP: 64, IO: 256, HTTP: 64, CPU: 64}
# How many tasks make some seconds of work at saturation: at Celery's rates, and at the event runtime's.
CELERY_COUNTS = {NOOP: 5_000, IO: 4_000, HTTP: 2_500, CPU: 4_000}
PREFORK_COUNTS = {**CELERY_COUNTS, IO: 900, NOOP: 4_000}
EVENTS_COUNTS = {NOOP: 50_000, IO: 40_000, HTTP: 15_000, CPU: 6_000}
# Fewer than some times what the workers take in hand at once would measure nothing.
LEAST_CELERY, LEAST_EVENTS = 600, 3_000
ROUNDS = {NOOP: 2, IO: 2, HTTP: 1, CPU: 1}


class Bench:
    """The sides, and what was measured of them."""

    def __init__(self, places: Places, broker: RabbitBroker, options: argparse.Namespace) -> None:
        self._places = places
        self._broker = broker
        self._options = options
        processes = dict.fromkeys(TASKS, PROCESSES)
        self.celery = [
            CelerySide(places, "prefork", processes, CELERY_PREFETCH),
            CelerySide(places, "threads", CELERY_THREADS, CELERY_PREFETCH),
        ]
        self.events = EventsSide(places, inbox=False, concurrency=EVENTS_CONCURRENCY)
        self.inbox = EventsSide(places, inbox=True, concurrency=EVENTS_CONCURRENCY)
        self.drains: dict[str, dict[str, list[Drain]]] = {}
        self.paced: dict[str, dict[str, Paced]] = {}
        self.floor: Floor | None = None

    async def run(self) -> None:
        everybody: list[WorkerSide] = [*self.celery, self.events, self.inbox]
        for side in everybody:
            await self._warm(side)
        for task in self._options.tasks:
            sides = everybody if task in {NOOP, IO} else everybody[:-1]
            for _ in range(min(self._options.rounds, ROUNDS[task])):
                for side in sides:
                    await self._drain(side, task)
            rate_per_s = max(self.best(side.name, task).per_s for side in self.celery) / 2
            best = max(self.celery, key=lambda side: self.best(side.name, task).per_s)
            for side in sides:
                if task == NOOP or side is best or side not in self.celery:
                    await self._pace(side, task, rate_per_s)
            if task == NOOP:
                await self._clean(self.events)
                self.floor = await floor(self._broker, self.events, task, rate_per_s, self._options.seconds)

    def best(self, name: str, task: str) -> Drain:
        """The fastest of a side's rounds."""
        return max(self.drains[task][name], key=lambda seen: seen.per_s)

    async def _warm(self, side: WorkerSide) -> None:
        """Have everything imported once, so that it is compiled."""
        await self._clean(side)
        for task in (NOOP, HTTP) if side in {self.celery[1], self.events} else (NOOP,):
            workers = side.start(task)
            try:
                await warm(self._broker, side, task)
            finally:
                workers.stop()

    async def _drain(self, side: WorkerSide, task: str) -> None:
        counts = EVENTS_COUNTS if isinstance(side, EventsSide) else PREFORK_COUNTS if side is self.celery[0] else CELERY_COUNTS
        least = LEAST_EVENTS if isinstance(side, EventsSide) else LEAST_CELERY
        count = max(least, round(counts[task] * self._options.scale))
        await self._clean(side)
        # Not by our own broker: it would open a channel for each look.
        with Connection(self._places.amqp_url) as connection:

            def ready() -> int:
                return int(connection.default_channel.queue_declare(side.queue, passive=True).message_count)

            seen = await drain(self._broker, side, task, count, ready)
        self.drains.setdefault(task, {}).setdefault(side.name, []).append(seen)
        print(
            f"{task:12}{side.name:16}{seen.per_s:>9.0f}/s {seen.cpu_s_per_1000:>8.3f} CPU s/1,000 {seen.memory_mib['pss']:>7.1f} MiB PSS"
            f"   recorded {seen.recorded} of {seen.sent}",
            flush=True,
        )

    async def _pace(self, side: WorkerSide, task: str, rate_per_s: float) -> None:
        await self._clean(side)
        workers = side.start(task)
        try:
            seen = await paced(self._broker, side, task, rate_per_s, self._options.seconds)
        finally:
            workers.stop()
        self.paced.setdefault(task, {})[side.name] = seen
        print(f"{task:12}{side.name:16}at {rate_per_s:>6.0f}/s   p50 {seen.p50_ms:>8.2f} ms   p99 {seen.p99_ms:>8.2f} ms", flush=True)

    async def _clean(self, side: WorkerSide) -> None:
        await self._broker.declare(side.topology())
        forget(self._places)
        purge(self._places.amqp_url, side.queue, *([RECORDS_QUEUE] if isinstance(side, EventsSide) else []))


def main() -> None:
    """Run everything, print a line for each measurement, write the JSON."""
    options = _options()
    if options.table:
        refresh()
        return
    rounds = calibrated_rounds(CPU_S)
    began = time.monotonic()
    # Modules compiled beforehand, as an installation does: compiling them in each worker costs either side megabytes and its first tasks.
    with _service() as url, TemporaryDirectory(ignore_cleanup_errors=True) as bytecode:
        env = {
            "BENCH_SERVICE_URL": url,
            "BENCH_BURN_ROUNDS": str(rounds),
            "PYTHONPATH": str(Path.cwd()),
            "PYTHONPYCACHEPREFIX": bytecode,
        }
        places = Places(options.amqp_url, options.redis_url, f"dualrun-bench-{os.getpid()}:", env)
        load_average = os.getloadavg()[0]
        bench = uvloop.run(_run(places, options))
    report = _report(bench, options, rounds)
    # What else kept the machine busy: far above 0, the figures are of a fight for the processor.
    report["load_average_before"] = round(load_average, 1)
    report["took_s"] = round(time.monotonic() - began)
    options.output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    if options.output == RESULTS and set(options.tasks) == set(TASKS):
        refresh()
    print(f"ratios: {report['ratios']}\nwith the inbox: {report['ratios_with_inbox']}\nwritten to {options.output}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--amqp-url", default=os.environ.get("DUALRUN_AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/"))
    parser.add_argument("--redis-url", default=os.environ.get("DUALRUN_REDIS_URL", "redis://127.0.0.1:6379/0"))
    parser.add_argument("--rounds", type=int, default=2, help="of saturation, at most; the best of a side counts")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each latency measurement")
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of tasks a round")
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=TASKS)
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--table", action="store_true", help="measure nothing: only write the table of docs/performance.md anew")
    return parser.parse_args()


async def _run(places: Places, options: argparse.Namespace) -> Bench:
    broker = RabbitBroker(places.amqp_url, name="bench")
    await broker.connect()
    bench = Bench(places, broker, options)
    try:
        await bench.run()
    finally:
        await broker.close()
        forget(places)
    return bench


@contextmanager
def _service() -> Iterator[str]:
    """The local HTTP service both sides call."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-c", f"from benchmarks.http_service import serve; serve({port})"])
    try:
        await_port(port, process)
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait(10)


def _report(bench: Bench, options: argparse.Namespace, burn_rounds: int) -> dict[str, object]:
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine("celery", "kombu", "amqp", "redis", "aio-pika", "uvloop", "msgspec", "httpx"),
        "settings": {
            "both": f"{PROCESSES} worker processes, one durable quorum queue, ack after the work, every result recorded",
            "celery": {
                "pools": f"prefork -c {PROCESSES}; {PROCESSES} workers with --pool threads and -c {_named(CELERY_THREADS)}",
                "options": "acks_late, --without-gossip --without-mingle --without-heartbeat, no events, no remote control, no rate limits",
                "prefetch": f"{CELERY_PREFETCH} messages a worker",
                "results": "Redis result backend",
            },
            "events": {
                "options": f"--processes {PROCESSES} --concurrency {_named(EVENTS_CONCURRENCY)}; memory and CPU include the supervisor",
                "results": "outcomes with their trace, in groups confirmed by RabbitMQ before the acks",
                "inbox": "also measured with each event claimed and completed in Redis, which Celery has no counterpart of",
            },
            "tasks": {
                NOOP: "returns at once",
                IO: "10 ms: time.sleep in Celery, asyncio.sleep in events",
                HTTP: "GET of a local service by one client a process, the fastest found for each: urllib3 in Celery, aiohttp in events",
                CPU: f"{CPU_S * 1e3:g} ms of SHA-256 ({burn_rounds} rounds)",
            },
            "throughput": "slope of the queue's length between 85 % and 10 % of its filling; the best of the rounds, of each side",
            "floor": "RabbitMQ by itself: the no-op's messages to one consumer that only acks",
            "latency": "just before the publish to the end of the task's body, at half of Celery's best throughput of that task",
            "limits": "the ratios of Celery's latency to the floor's: what no runtime on this broker can exceed",
            "rounds": {task: min(options.rounds, ROUNDS[task]) for task in options.tasks},
        },
        "ratios": _ratios(bench, bench.events.name),
        "ratios_with_inbox": _ratios(bench, bench.inbox.name),
        "floor": None if bench.floor is None else _rounded(asdict(bench.floor)),
        "limits": _limits(bench),
        "saturation": {
            task: {name: [_rounded(asdict(seen)) for seen in runs] for name, runs in sides.items()} for task, sides in bench.drains.items()
        },
        "latency": {task: {name: _rounded(asdict(seen)) for name, seen in sides.items()} for task, sides in bench.paced.items()},
    }


def _ratios(bench: Bench, name: str) -> dict[str, float]:
    """Against Celery's best pool, number by number; above 1 the event runtime is better."""
    found: dict[str, float] = {}
    for task, title in ((NOOP, "noop"), (IO, "io"), (HTTP, "http"), (CPU, "cpu")):
        runs, latencies = bench.drains.get(task, {}), bench.paced.get(task, {})
        if name not in runs:
            continue
        found[f"{title}_throughput"] = bench.best(name, task).per_s / max(bench.best(side.name, task).per_s for side in bench.celery)
        at_celery = [seen for pool, seen in latencies.items() if pool.startswith("celery")]
        found[f"{title}_latency_p50"] = min(seen.p50_ms for seen in at_celery) / latencies[name].p50_ms
        found[f"{title}_latency_p99"] = min(seen.p99_ms for seen in at_celery) / latencies[name].p99_ms
    if name in bench.drains.get(NOOP, {}):
        pools = [run for side in bench.celery for run in bench.drains[NOOP][side.name]]
        ours = bench.drains[NOOP][name]
        found["memory"] = min(run.memory_mib["pss"] for run in pools) / min(run.memory_mib["pss"] for run in ours)
        found["cpu_per_task"] = min(run.cpu_s_per_1000 for run in pools) / min(run.cpu_s_per_1000 for run in ours)
    return {title: round(value, 2) for title, value in found.items()}


def _limits(bench: Bench) -> dict[str, float]:
    """What a runtime would reach that took no time at all: the broker's share of the latency is the same for both sides."""
    if bench.floor is None:
        return {}
    at_celery = [seen for name, seen in bench.paced[NOOP].items() if name.startswith("celery")]
    return {
        "noop_latency_p50": round(min(seen.p50_ms for seen in at_celery) / bench.floor.p50_ms, 2),
        "noop_latency_p99": round(min(seen.p99_ms for seen in at_celery) / bench.floor.p99_ms, 2),
    }


def _rounded(values: dict[str, object]) -> dict[str, object]:
    """Three digits after the point are more than was measured."""
    return {
        name: _rounded(value) if isinstance(value, dict) else round(value, 3) if isinstance(value, float) else value
        for name, value in values.items()
    }


def _named(by_task: dict[str, int]) -> str:
    return ", ".join(f"{number} ({task})" for task, number in by_task.items())


if __name__ == "__main__":
    main()

"""Ten minutes of steady work with the inbox on: whether memory and latency of the event workers stay flat.

Writes benchmarks/results/soak.json and docs/soak.svg. Run: `make soak` (ARGS='--minutes 1' for a short look).
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import statistics
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import uvloop

from benchmarks.machine import machine
from benchmarks.runtime_load import quantile
from benchmarks.runtime_sides import PROCESSES, TASKS, EventsSide, Places, Workers, forget, purge
from benchmarks.soak_plot import plot
from dualrun.broker import Delivery
from dualrun.broker.rabbitmq import RabbitBroker
from dualrun.contracts import Outcome, decode_records
from dualrun.contracts.topology import RECORDS_QUEUE

RESULTS = Path(__file__).parent / "results" / "soak.json"
PLOT = Path(__file__).parents[1] / "docs" / "soak.svg"
NOOP, IO = TASKS[:2]
SAMPLE_S = 5.0
CONCURRENCY = 128


@dataclass(frozen=True, slots=True)
class Sample:
    """What was seen in one stretch of `SAMPLE_S`."""

    at_s: float
    pss_mib: float
    p50_ms: float
    p99_ms: float
    finished: int
    waiting: int


class Finished:
    """Takes outcomes as they are recorded; knows the latency of each, and whether any came twice."""

    def __init__(self) -> None:
        self.latencies_s: list[float] = []
        self.submission_ids: set[str] = set()
        self.repeated = 0

    def take(self, delivery: Delivery) -> None:
        for record in decode_records(delivery.message.body):
            if isinstance(record, Outcome) and isinstance(record.value, float):
                self.repeated += record.submission_id in self.submission_ids
                self.submission_ids.add(record.submission_id)
                self.latencies_s.append(record.value)
        delivery.ack()


def main() -> None:
    """Run, draw, and say how much memory and latency moved from the second minute to the last."""
    options = _options()
    report = uvloop.run(_soak(options))
    options.output.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    options.plot.write_text(plot(report), encoding="utf-8")
    print({name: report[name] for name in ("sent", "finished", "repeated", "moved")})


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--amqp-url", default=os.environ.get("DUALRUN_AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/"))
    parser.add_argument("--redis-url", default=os.environ.get("DUALRUN_REDIS_URL", "redis://127.0.0.1:6379/0"))
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=400.0, help="events a second: nine no-ops to one that waits for 10 ms")
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--plot", type=Path, default=PLOT)
    return parser.parse_args()


async def _soak(options: argparse.Namespace) -> dict[str, object]:
    places = Places(options.amqp_url, options.redis_url, f"dualrun-soak-{os.getpid()}:", {"PYTHONPATH": str(Path.cwd())})
    side = EventsSide(places, inbox=True, concurrency=dict.fromkeys((NOOP, IO), CONCURRENCY))
    broker = RabbitBroker(options.amqp_url, name="soak")
    await broker.connect()
    await broker.declare(side.topology())
    purge(options.amqp_url, side.queue, RECORDS_QUEUE)
    finished, samples = Finished(), list[Sample]()
    await broker.consume(RECORDS_QUEUE, finished.take, prefetch=200)
    workers = side.start(NOOP)
    try:
        sampling = asyncio.create_task(_sample(broker, side, workers, finished, samples))
        sent = await _send(broker, side, options.rate, options.minutes * 60)
        await _settled(finished, sent)
        sampling.cancel()
    finally:
        workers.stop()
        await broker.close()
        forget(places)
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine("uvloop", "msgspec", "redis", "aio-pika"),
        "settings": {"rate_per_s": options.rate, "minutes": options.minutes, "processes": PROCESSES, "inbox": True},
        "sent": sent,
        "finished": len(finished.submission_ids),
        "repeated": finished.repeated,
        "moved": _moved(samples),
        "samples": [asdict(sample) for sample in samples],
    }


async def _send(broker: RabbitBroker, side: EventsSide, rate_per_s: float, seconds: float) -> int:
    kinds = itertools.cycle([IO, *[NOOP] * 9])
    began = time.perf_counter()
    pending: set[asyncio.Task[None]] = set()
    for number in itertools.count():
        now = time.perf_counter()
        if now - began > seconds:
            break
        wait_s = began + number / rate_per_s - now
        if wait_s > 0.0005:
            await asyncio.sleep(wait_s)
        _, outgoing = side.outgoing(next(kinds), time.time())
        task = asyncio.create_task(broker.publish(outgoing.exchange, outgoing.routing_key, outgoing.message))
        pending.add(task)
        task.add_done_callback(pending.discard)
    await asyncio.gather(*pending)
    return number


async def _settled(finished: Finished, sent: int) -> None:
    """Until every event has its outcome, or half a minute has gone."""
    for _ in range(300):
        if len(finished.submission_ids) >= sent:
            return
        await asyncio.sleep(0.1)


async def _sample(broker: RabbitBroker, side: EventsSide, workers: Workers, finished: Finished, samples: list[Sample]) -> None:
    began = time.monotonic()
    while True:
        await asyncio.sleep(SAMPLE_S)
        seen, finished.latencies_s = sorted(finished.latencies_s), []
        depth = await broker.depth(side.queue)
        samples.append(
            Sample(
                at_s=round(time.monotonic() - began, 1),
                pss_mib=round(workers.memory_mib()["pss"], 2),
                p50_ms=round(quantile(seen, 0.5) * 1e3, 2) if seen else 0.0,
                p99_ms=round(quantile(seen, 0.99) * 1e3, 2) if seen else 0.0,
                finished=len(seen),
                waiting=0 if depth is None else depth.ready,
            )
        )


def _moved(samples: list[Sample]) -> dict[str, float]:
    """Medians of the last minute against those of the second: the first is for warming up."""
    minute = round(60 / SAMPLE_S)
    early, late = samples[minute : 2 * minute] or samples[:1], samples[-minute:]
    return {
        name: round(statistics.median(getattr(sample, name) for sample in late) / statistics.median(getattr(s, name) for s in early), 3)
        for name in ("pss_mib", "p50_ms", "p99_ms")
    }


if __name__ == "__main__":
    main()

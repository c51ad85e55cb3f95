"""The two measurements of the runtime benchmark: a queue drained as fast as it goes, and a steady load's latencies."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.runtime_sides import Workers, WorkerSide, servers_cpu_s
from dualrun.broker import Delivery, Outgoing
from dualrun.broker.rabbitmq import RabbitBroker

__all__ = ["Drain", "Floor", "Paced", "drain", "floor", "paced", "quantile", "warm"]

_POLL_S = 0.05
_READY_WITHIN_S = 120.0


@dataclass(frozen=True, slots=True)
class Drain:
    """A queue emptied at saturation. Rates and times are of the stretch between 85 % and 10 % left: neither start nor tail."""

    per_s: float
    cpu_s_per_1000: float
    """Processor seconds of all worker processes."""
    servers_cpu_s_per_1000: dict[str, float]
    """Those of RabbitMQ and Redis where they run on this machine, whoever else kept them busy."""
    memory_mib: dict[str, float]
    sent: int
    recorded: int


@dataclass(frozen=True, slots=True)
class Paced:
    """Latencies from just before the publish to the end of the task's body, at a steady rate."""

    rate_per_s: float
    p50_ms: float
    p99_ms: float
    sent: int
    recorded: int


@dataclass(frozen=True, slots=True)
class Floor:
    """What RabbitMQ takes by itself: the same messages, on the same kind of queue, to a callback that only acks."""

    drained_per_s: float
    rate_per_s: float
    p50_ms: float
    p99_ms: float


async def floor(broker: RabbitBroker, side: WorkerSide, task: str, rate_per_s: float, seconds: float) -> Floor:
    """No runtime can be faster than this with one consumer, or answer sooner."""
    count = 10_000
    await _publish(broker, [side.outgoing(task, time.time())[1] for _ in range(count)])
    taken = 0
    latencies_s: list[float] = []
    done = asyncio.Event()

    def take(delivery: Delivery) -> None:
        nonlocal taken
        taken += 1
        latencies_s.append(time.time() - float(json.loads(delivery.message.body)["sent_at"]))
        delivery.ack()
        if taken >= count:
            done.set()

    began = time.perf_counter()
    consumer = await broker.consume(side.queue, take, prefetch=256)
    await done.wait()
    drained_per_s = count / (time.perf_counter() - began)
    latencies_s.clear()
    sent = await _send_paced(broker, side, task, rate_per_s, seconds)
    count += sent
    done.clear()
    if taken < count:
        await asyncio.wait_for(done.wait(), 30)
    await consumer.cancel()
    values = sorted(latencies_s)
    return Floor(drained_per_s, rate_per_s, quantile(values, 0.5) * 1e3, quantile(values, 0.99) * 1e3)


async def drain(broker: RabbitBroker, side: WorkerSide, task: str, count: int, ready: Callable[[], int]) -> Drain:
    """Fill the queue, start the workers, watch it run empty: `ready` tells how many messages wait in it."""
    await _publish(broker, [side.outgoing(task, time.time())[1] for _ in range(count)])
    workers = side.start(task)
    try:
        began_s, began_cpu_s, began_left = await _left_below(ready, side, workers, count * 0.85)
        memory = workers.memory_mib()
        ended_s, ended_cpu_s, ended_left = await _left_below(ready, side, workers, count * 0.10)
        memory = max(memory, workers.memory_mib(), key=lambda seen: seen["pss"])
        recorded = await side.results(broker, count)
    finally:
        workers.stop()
    done = began_left - ended_left
    if done <= 0:
        raise SystemExit(f"{side.name}: {count} tasks are too few to be measured")
    return Drain(
        per_s=done / (ended_s - began_s),
        cpu_s_per_1000=(ended_cpu_s["workers"] - began_cpu_s["workers"]) / done * 1e3,
        servers_cpu_s_per_1000={
            name: (spent_s - began_cpu_s[name]) / done * 1e3 for name, spent_s in ended_cpu_s.items() if name != "workers"
        },
        memory_mib=memory,
        sent=count,
        recorded=len(recorded),
    )


async def warm(broker: RabbitBroker, side: WorkerSide, task: str) -> None:
    """Have some tasks done by workers that start."""
    await _publish(broker, [side.outgoing(task, time.time())[1] for _ in range(20)])
    done = await side.results(broker, 20, _READY_WITHIN_S)
    if len(done) < 20:
        raise SystemExit(f"{side.name}: {20 - len(done)} of the first 20 tasks gave no result within {_READY_WITHIN_S:g} s")


async def paced(broker: RabbitBroker, side: WorkerSide, task: str, rate_per_s: float, seconds: float) -> Paced:
    """Publish at a steady rate to workers that run, and read the latencies from the results."""
    await warm(broker, side, task)
    count = await _send_paced(broker, side, task, rate_per_s, seconds)
    values = sorted(await side.results(broker, count))
    if len(values) < count / 2:
        raise SystemExit(f"{side.name}: {count - len(values)} of {count} tasks gave no result")
    return Paced(rate_per_s, quantile(values, 0.5) * 1e3, quantile(values, 0.99) * 1e3, count, len(values))


async def _send_paced(broker: RabbitBroker, side: WorkerSide, task: str, rate_per_s: float, seconds: float) -> int:
    count = round(rate_per_s * seconds)
    sending: list[asyncio.Task[None]] = []
    began = time.perf_counter()
    for number in range(count):
        wait_s = began + number / rate_per_s - time.perf_counter()
        if wait_s > 0.0005:
            await asyncio.sleep(wait_s)
        _, outgoing = side.outgoing(task, time.time())
        sending.append(asyncio.create_task(broker.publish(outgoing.exchange, outgoing.routing_key, outgoing.message)))
    await asyncio.gather(*sending)
    return count


def quantile(ordered: list[float], q: float) -> float:
    """Of values in order; not a number where there are none."""
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))] if ordered else float("nan")


async def _publish(broker: RabbitBroker, messages: list[Outgoing]) -> None:
    for start in range(0, len(messages), 2_000):
        for error in await broker.publish_many(messages[start : start + 2_000]):
            if error is not None:
                raise error


async def _left_below(ready: Callable[[], int], side: WorkerSide, workers: Workers, bound: float) -> tuple[float, dict[str, float], int]:
    """The moment at which fewer than `bound` messages are left, the processor times by then, and how many are left."""
    deadline = time.monotonic() + _READY_WITHIN_S
    while time.monotonic() < deadline:
        left = ready()
        if left < bound:
            return time.perf_counter(), {"workers": workers.cpu_s(), **servers_cpu_s()}, left
        await asyncio.sleep(_POLL_S)
    raise SystemExit(f"{side.name}: {side.queue} was not emptied within {_READY_WITHIN_S:g} s")

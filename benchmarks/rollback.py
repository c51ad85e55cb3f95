"""Rolling back: from the call until the last of the gateway processes decides by the new version.

All processes share one Redis; the call goes to each in turn, and every process is polled (`GET /v1/flags`) on a connection of its own, so
the time includes the poll's own. Between rollbacks the task is moved to events again. Run: `python -m benchmarks.rollback`.
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
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import redis

from benchmarks.machine import machine

RESULTS = Path(__file__).parent / "results" / "rollback.json"
TASK = "bench.noop"
GIVE_UP_S = 10.0


def main() -> None:
    """Start the gateways, measure, print, write the JSON."""
    options = _options()
    with _gateways(options) as urls:
        times_ms = asyncio.run(_measure(urls, options.flips))
    report = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine("fastapi", "uvicorn", "redis"),
        "settings": {"gateways": options.gateways, "flips": options.flips, "processes": "gateways, Redis and the poll share the cores"},
        "last_gateway_ms": {
            "p50": round(statistics.median(times_ms), 1),
            "p99": round(_quantile(times_ms, 0.99), 1),
            "max": round(max(times_ms), 1),
        },
    }
    RESULTS.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(f"{options.flips} rollbacks, {options.gateways} gateways: {report['last_gateway_ms']} ms to the last; written to {RESULTS}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--amqp-url", default=os.environ.get("DUALRUN_AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/"))
    parser.add_argument("--redis-url", default=os.environ.get("DUALRUN_REDIS_URL", "redis://127.0.0.1:6379/0"))
    parser.add_argument("--gateways", type=int, default=4)
    parser.add_argument("--flips", type=int, default=50)
    return parser.parse_args()


async def _measure(urls: Sequence[str], flips: int) -> list[float]:
    async with AsyncExitStack() as stack:
        # A connection to call on, and one each to poll on: the call is not kept waiting by a poll.
        pollers = [await stack.enter_async_context(httpx.AsyncClient(base_url=url)) for url in urls]
        callers = [await stack.enter_async_context(httpx.AsyncClient(base_url=url)) for url in urls]
        return [await _rollback_ms(callers[flip % len(urls)], pollers) for flip in range(flips)]


async def _rollback_ms(caller: httpx.AsyncClient, pollers: Sequence[httpx.AsyncClient]) -> float:
    moved = (await caller.put(f"/v1/flags/{TASK}", json={"mode": "events"})).raise_for_status()
    version: int = moved.json()["version"]
    await asyncio.gather(*(_until(poller, version) for poller in pollers))
    started = time.perf_counter()
    calling = asyncio.create_task(caller.post(f"/v1/flags/{TASK}/rollback"))
    seen = await asyncio.gather(*(_until(poller, version + 1) for poller in pollers))
    answer = await calling
    answer.raise_for_status()
    return (max(seen) - started) * 1_000


async def _until(poller: httpx.AsyncClient, version: int) -> float:
    """When the gateway was first seen at that version."""
    give_up_at = time.perf_counter() + GIVE_UP_S
    while time.perf_counter() < give_up_at:
        if (await poller.get("/v1/flags")).raise_for_status().json()["version"] >= version:
            return time.perf_counter()
    raise SystemExit(f"{poller.base_url} is not at version {version} after {GIVE_UP_S} s")


def _quantile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


@contextmanager
def _gateways(options: argparse.Namespace) -> Iterator[list[str]]:
    prefix = f"dualrun-bench-{os.getpid()}:"
    with tempfile.TemporaryDirectory() as state, ExitStack() as stack:
        stack.callback(_forget, options.redis_url, prefix)
        urls = [stack.enter_context(_gateway(options, prefix, f"{state}/{number}")) for number in range(options.gateways)]
        for url in urls:
            _await(url)
        yield urls


@contextmanager
def _gateway(options: argparse.Namespace, prefix: str, state: str) -> Iterator[str]:
    Path(state).mkdir()
    port = _free_port()
    env = {
        "DUALRUN_AMQP_URL": options.amqp_url,
        "DUALRUN_REDIS_URL": options.redis_url,
        "DUALRUN_REDIS_PREFIX": prefix,
        "DUALRUN_LEDGER_URL": f"sqlite:///{state}/ledger.sqlite",
        "DUALRUN_STATE_DIR": state,
        "DUALRUN_FLAGS_FILE": f"{state}/none.yaml",
    }
    command = [sys.executable, "-m", "gateway.cli.main", "gateway", "--port", str(port), "--log-level", "warning"]
    process = subprocess.Popen(command, env={**os.environ, **env})
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def _await(url: str) -> None:
    give_up_at = time.monotonic() + 60
    while time.monotonic() < give_up_at:
        try:
            httpx.get(f"{url}/healthz", timeout=5.0).raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit(f"no gateway answers at {url}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _forget(redis_url: str, prefix: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        for key in client.scan_iter(f"{prefix}*"):
            client.delete(key)


if __name__ == "__main__":
    main()

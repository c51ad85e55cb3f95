"""Rolling back: from the call until the last of the gateway processes decides by the new version.

Four gateways, two event workers and a Celery worker; each rollback is called on another gateway, and every gateway is asked every few
milliseconds (`GET /v1/flags`, on connections of its own), so the time includes the question's own. First idle; then, before each
rollback, a thousand submissions are accepted for events, and once all of them have run the counts the rollback told are checked against
what ran where. Both with everything up, with PostgreSQL away and with Redis away (a server of the benchmark's own); without Redis
nobody goes forward, so it is back for each step on. Run: `python -m benchmarks.rollback`; `--rollbacks 5` for a quick look.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx

from benchmarks.machine import machine
from benchmarks.rollback_runs import DIRECTORY_VARIABLE, TASK, false_counts, runs_in
from tests.support.fleet import Fleet, running_fleet

RESULTS = Path(__file__).parent / "results" / "rollback.json"
QUEUED = 1_000
WITHOUT = ("nothing", "postgresql", "redis")
_ASK_AGAIN_S = 0.002
_LOOK_AGAIN_S = 0.1
_GIVE_UP_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollback:
    """One of them. Times from the call."""

    heard_ms: float
    """Until the last gateway decided by the new version."""
    last_start_ms: float = 0.0
    """Until the last submission began on the events side; 0 where none did after the call."""
    redirected: int = 0
    started: int = 0
    wrong: tuple[str, ...] = ()


def main() -> None:
    """Start the processes, measure, print, write the JSON."""
    options = _options()
    modes: dict[str, dict[str, object]] = {}
    for without in WITHOUT:
        with tempfile.TemporaryDirectory() as directory, _fleet(Path(directory)) as fleet:
            found = asyncio.run(_measure(fleet, options.rollbacks, without))
        for load, rollbacks in found.items():
            modes[f"{load}, without {without}"] = _summary(rollbacks)
            print(f"{load}, without {without}: {modes[f'{load}, without {without}']}", flush=True)
    report = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine("fastapi", "uvicorn", "redis"),
        "settings": {
            "gateways": 4,
            "event_workers": 2,
            "queued": QUEUED,
            "processes": "gateways, workers, Redis, RabbitMQ and who asks share the cores",
        },
        "from_the_call": modes,
    }
    RESULTS.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(f"written to {RESULTS}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rollbacks", type=int, default=50)
    return parser.parse_args()


def _fleet(directory: Path) -> AbstractContextManager[Fleet]:
    return running_fleet(
        directory,
        task=TASK,
        celery_app="benchmarks.rollback_celery",
        handlers="benchmarks.rollback_handlers",
        env={DIRECTORY_VARIABLE: str(directory), "DUALRUN_LOG_LEVEL": "error"},
        concurrency=1,
    )


def _summary(rollbacks: Sequence[Rollback]) -> dict[str, object]:
    heard = sorted(rollback.heard_ms for rollback in rollbacks)
    summary: dict[str, object] = {
        "rollbacks": len(heard),
        "p50_ms": round(statistics.median(heard), 1),
        "p99_ms": round(heard[min(len(heard) - 1, int(0.99 * len(heard)))], 1),
        "max_ms": round(heard[-1], 1),
    }
    if any(rollback.redirected for rollback in rollbacks):
        summary |= {
            "last_start_on_events_ms": round(max(rollback.last_start_ms for rollback in rollbacks), 1),
            "redirected": sum(rollback.redirected for rollback in rollbacks),
            "started": sum(rollback.started for rollback in rollbacks),
            "counts_true": sum(not rollback.wrong for rollback in rollbacks),
            "wrong": [text for rollback in rollbacks for text in rollback.wrong],
        }
    return summary


async def _measure(fleet: Fleet, rollbacks: int, without: str) -> dict[str, list[Rollback]]:
    async with AsyncExitStack() as stack:
        # A connection to call on, and one each to ask on: the call is not kept waiting by a question.
        askers = [await stack.enter_async_context(_client(url)) for url in fleet.urls]
        callers = [await stack.enter_async_context(_client(url)) for url in fleet.urls]
        forward = await _forward(callers[0])
        await asyncio.gather(*(_heard(asker, forward) for asker in askers))
        if without != "nothing":
            (fleet.redis.stop if without == "redis" else fleet.postgres.break_down)()
        found: dict[str, list[Rollback]] = {"idle": [], f"{QUEUED} queued": []}
        moved = forward
        for load, done in found.items():
            for turn in range(rollbacks):
                caller = callers[turn % len(callers)]
                if done or load != "idle":
                    if without == "redis":
                        await asyncio.to_thread(fleet.redis.start)
                    moved = await _forward(caller)
                    await asyncio.gather(*(_heard(asker, moved) for asker in askers))
                    if without == "redis":
                        fleet.redis.stop()
                done.append(await _roll_back(fleet, caller, askers, moved, None if load == "idle" else turn * QUEUED))
        return found


async def _roll_back(
    fleet: Fleet, caller: httpx.AsyncClient, askers: Sequence[httpx.AsyncClient], version: int, first: int | None
) -> Rollback:
    if first is not None:
        await asyncio.to_thread(fleet.submit, first, QUEUED)
    called_at, began = time.time(), time.perf_counter()
    calling = asyncio.create_task(caller.post(f"/v1/flags/{TASK}/rollback", params={"wait_s": 30}))
    heard_s = max(await asyncio.gather(*(_heard(asker, version + 1) for asker in askers))) - began
    told = (await calling).raise_for_status().json()["in_flight"]
    if first is None:
        return Rollback(heard_ms=heard_s * 1e3)
    give_up_at = time.perf_counter() + _GIVE_UP_S
    while (runs := runs_in(fleet.directory, first, QUEUED)).total < QUEUED and time.perf_counter() < give_up_at:  # noqa: ASYNC110 - a file tells
        await asyncio.sleep(_LOOK_AGAIN_S)
    return Rollback(
        heard_ms=heard_s * 1e3,
        last_start_ms=runs.last_start_after(called_at) * 1e3,
        redirected=told["redirected"],
        started=told["started"],
        wrong=tuple(false_counts(runs, QUEUED, told, called_at=called_at, heard_at=called_at + heard_s)),
    )


def _client(url: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, timeout=_GIVE_UP_S)


async def _forward(caller: httpx.AsyncClient) -> int:
    """To events, as soon as the gateway knows who is there."""
    give_up_at = time.perf_counter() + _GIVE_UP_S
    while True:
        answer = await caller.put(f"/v1/flags/{TASK}", json={"mode": "events"})
        if answer.is_success or time.perf_counter() > give_up_at:
            return int(answer.raise_for_status().json()["version"])
        await asyncio.sleep(_LOOK_AGAIN_S)


async def _heard(asker: httpx.AsyncClient, version: int) -> float:
    """When the gateway was first seen at that version."""
    give_up_at = time.perf_counter() + _GIVE_UP_S
    while time.perf_counter() < give_up_at:
        if (await asker.get("/v1/flags")).raise_for_status().json()["version"] >= version:
            return time.perf_counter()
        await asyncio.sleep(_ASK_AGAIN_S)
    raise SystemExit(f"{asker.base_url} is not at version {version} after {_GIVE_UP_S} s")


if __name__ == "__main__":
    main()

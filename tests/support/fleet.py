"""Gateways, event workers and a Celery worker as processes, on services that can be taken from them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.support.private_redis import PrivateRedis
from tests.support.processes import REPOSITORY, Process, free_port
from tests.support.services import fresh_database, fresh_vhost
from tests.support.tcp_proxy import ThreadedTcpProxy, proxied

__all__ = ["Fleet", "running_fleet"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """What runs, and what can be taken from it."""

    task: str
    urls: list[str]
    gateway: Process
    workers: list[Process]
    redis: PrivateRedis
    postgres: ThreadedTcpProxy
    directory: Path

    def versions(self) -> set[int]:
        """Those the gateways decide by."""
        return {httpx.get(f"{url}/v1/flags", timeout=10.0).json()["version"] for url in self.urls}

    def put(self, mode: str) -> None:
        """Set the task's flag, and return when every gateway has it."""
        answer = httpx.put(f"{self.urls[0]}/v1/flags/{self.task}", json={"mode": mode}, timeout=10.0).raise_for_status()
        version = answer.json()["version"]
        self.gateway.wait_until(lambda: self.versions() == {version}, f"version {version} everywhere")

    def submit(self, first: int, count: int) -> None:
        """So many, numbered from `first`, over all gateways; events is their authority."""
        share = count // len(self.urls)
        for position, url in enumerate(self.urls):
            tasks = [{"task": self.task, "args": [first + position * share + number]} for number in range(share)]
            answer = httpx.post(f"{url}/v1/tasks/batch", json={"tasks": tasks}, timeout=30.0).raise_for_status().json()
            assert (answer["accepted"], answer["refused"]) == (share, 0)
            assert {result["decision"]["authority"] for result in answer["results"]} == {"events"}


@contextmanager
def running_fleet(
    directory: Path,
    *,
    task: str,
    celery_app: str,
    handlers: str,
    env: Mapping[str, str],
    gateway_count: int = 4,
    event_worker_count: int = 2,
    concurrency: int = 2,
    pool: Sequence[str] = ("-P", "threads", "-c", "4"),
) -> Iterator[Fleet]:
    """Processes that know the task on both sides. Redis is their own, PostgreSQL behind a proxy of their own."""
    with ExitStack() as stack:
        amqp_url = stack.enter_context(fresh_vhost())
        redis = PrivateRedis(directory)
        redis.start()
        stack.callback(redis.stop)
        postgres, ledger_url = stack.enter_context(proxied(stack.enter_context(fresh_database()), 5432))
        shared = {
            "DUALRUN_AMQP_URL": amqp_url,
            "DUALRUN_CELERY_BROKER_URL": amqp_url,
            "DUALRUN_REDIS_URL": redis.url,
            "DUALRUN_LEDGER_URL": ledger_url,
            "DUALRUN_FLAGS_FILE": str(directory / "none.yaml"),
            "DUALRUN_SPOOL_DIR": str(directory / "spool"),
            "DUALRUN_HANDLERS": handlers,
            "DUALRUN_CONCURRENCY": str(concurrency),
            "CELERY_WORKER_INCLUDE": "legacy_celery.capture",
            **env,
        }

        def start(name: str, *command: str) -> Process:
            own = {"DUALRUN_STATE_DIR": str(directory / name.replace(" ", "-"))}
            return stack.enter_context(Process(name, [sys.executable, "-m", *command], env={**shared, **own}, cwd=REPOSITORY))

        start("celery worker", "celery", "-A", celery_app, "worker", *pool)
        workers = [start(f"event worker {number}", "event_handlers") for number in range(event_worker_count)]
        ports = [free_port() for _ in range(gateway_count)]
        gateways = [start(f"gateway {port}", "gateway.cli.main", "gateway", "--port", str(port)) for port in ports]
        urls = [f"http://127.0.0.1:{port}" for port in ports]
        for gateway, url in zip(gateways, urls, strict=True):
            gateway.wait_for_http(f"{url}/healthz", timeout_s=90.0)
        gateways[0].wait_until(lambda: all(_knows_both_sides(url, task) for url in urls), "both sides known everywhere", timeout_s=90.0)
        yield Fleet(task=task, urls=urls, gateway=gateways[0], workers=workers, redis=redis, postgres=postgres, directory=directory)


def _knows_both_sides(url: str, task: str) -> bool:
    return set(httpx.get(f"{url}/v1/catalogue", timeout=5.0).json()["tasks"].get(task, {})) == {"legacy", "events"}

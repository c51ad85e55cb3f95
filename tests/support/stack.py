"""The whole system as separate processes on real services: shop, gateway, comparator, `celery worker` (prefork), event worker."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from examples.shop.server import RunningShop, running_shop
from tests.support.processes import REPOSITORY, Process, free_port
from tests.support.services import fresh_database, fresh_vhost, owned_prefix, reachable_redis_url

__all__ = ["CeleryCommand", "Stack", "running_stack"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CeleryCommand:
    """How a team starts its own worker."""

    arguments: Sequence[str] = ("-A", "legacy_celery.app", "worker", "-P", "prefork", "-c", "2")
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path = REPOSITORY


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """The running processes, by what they are."""

    url: str
    ledger_url: str
    shop: RunningShop
    gateway: Process
    comparator: Process
    celery_worker: Process
    event_worker: Process

    @property
    def processes(self) -> dict[str, Process]:
        return {
            "gateway": self.gateway,
            "comparator": self.comparator,
            "celery_worker": self.celery_worker,
            "event_worker": self.event_worker,
        }

    def wait_until_served(self, tasks: Mapping[str, set[str]]) -> None:
        """Until the gateway has heard of these tasks from these sides."""

        def served() -> bool:
            try:
                known = httpx.get(f"{self.url}/v1/catalogue", timeout=5.0).json()["tasks"]
            except httpx.TransportError:
                return False
            return all(set(known.get(task, ())) == sides for task, sides in tasks.items())

        self.gateway.wait_until(served, f"{tasks} in the catalogue", timeout_s=60.0)


SAMPLE_TASKS = {"learning.add": {"legacy", "events"}, "order.send_order_confirmation": {"legacy", "events"}}


@contextmanager
def running_stack(
    directory: Path,
    *,
    handlers: str = "event_handlers.handlers",
    celery: CeleryCommand | None = None,
    tasks: Mapping[str, set[str]] = SAMPLE_TASKS,
    gateway_env: Mapping[str, str] | None = None,
    ledger_url: str | None = None,
    comparators: int = 1,
) -> Iterator[Stack]:
    """Everything started and known to one another, on a corner of each service of its own; stopped at the end, whatever happens.

    `tasks` are waited for in the gateway's catalogue; `gateway_env` is the gateway's alone.
    """
    celery = celery or CeleryCommand()
    port = free_port()
    with ExitStack() as stack:
        amqp_url = stack.enter_context(fresh_vhost())
        redis_url = reachable_redis_url()
        ledger_url = ledger_url or stack.enter_context(fresh_database())
        shop = stack.enter_context(running_shop())
        env = {
            **shop.env,
            "SHOP_RETRY_DELAY_S": "0.2",
            "DUALRUN_AMQP_URL": amqp_url,
            "DUALRUN_CELERY_BROKER_URL": amqp_url,
            "DUALRUN_REDIS_URL": redis_url,
            "DUALRUN_REDIS_PREFIX": stack.enter_context(owned_prefix(redis_url)),
            "DUALRUN_LEDGER_URL": ledger_url,
            "DUALRUN_STATE_DIR": str(directory / "state"),
            "DUALRUN_SPOOL_DIR": str(directory / "spool"),
            "DUALRUN_HANDLERS": handlers,
            "CELERY_WORKER_INCLUDE": "legacy_celery.capture",
        }

        def start(name: str, *command: str, more: Mapping[str, str] | None = None, cwd: Path = REPOSITORY) -> Process:
            return stack.enter_context(Process(name, [sys.executable, "-m", *command], env={**env, **(more or {})}, cwd=cwd))

        own = {name: value.format(amqp_url=amqp_url) for name, value in celery.env.items()}
        running = Stack(
            url=f"http://127.0.0.1:{port}",
            ledger_url=ledger_url,
            shop=shop,
            comparator=start("comparator", "gateway.cli.main", "comparator"),
            celery_worker=start("celery worker", "celery", *celery.arguments, more=own, cwd=celery.cwd),
            event_worker=start("event worker", "event_handlers"),
            gateway=start("gateway", "gateway.cli.main", "gateway", "--port", str(port), more=gateway_env),
        )
        for number in range(2, comparators + 1):
            start(f"comparator {number}", "gateway.cli.main", "comparator")
        running.gateway.wait_for_http(f"{running.url}/healthz")
        running.wait_until_served(tasks)
        yield running

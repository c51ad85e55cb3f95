"""The embedded stack: the same use cases and processes as on real services, on the adapters in memory and a SQLite file."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from dualrun import effects, telemetry
from dualrun.announce import Heartbeat
from dualrun.broker.memory import MemoryBroker
from dualrun.broker.records_topology import RECORDS_TOPOLOGY
from dualrun.contracts import Outcome, Side
from dualrun.contracts.topology import service_queue
from gateway.api.services import Services
from gateway.app import Parts, assemble, comparator_of
from gateway.catalogue.memory import MemoryCatalogue
from gateway.dispatch.celery_memory import CeleryMemoryDispatcher
from gateway.dispatch.dead_letters import BrokerDeadLetters
from gateway.dispatch.events import EventsDispatcher
from gateway.embedded.celery_worker import EmbeddedCelery
from gateway.embedded.drain import until_empty
from gateway.flags.file import FlagsFile
from gateway.flags.memory import MemoryFlagStore
from gateway.idempotency.memory import MemoryIdempotencyStore
from gateway.ledger import SqlLedgerReader, SqlLedgerWriter, open_engine
from gateway.outcomes.broker import BrokerRecordSink, BrokerRecordSource
from gateway.outcomes.notices import MemoryNotices
from gateway.settings import FlagsMode, Settings

__all__ = ["EmbeddedOptions", "EmbeddedStack", "open_embedded"]

SAMPLE_CELERY_APP = "legacy_celery.app:app"
SAMPLE_HANDLERS = "event_handlers.handlers"
SERVICE = "shop"


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedOptions:
    """What runs in the process."""

    celery_app: str = SAMPLE_CELERY_APP
    handlers: str = SAMPLE_HANDLERS
    state_dir: Path = Path(".dualrun")
    flags_file: Path | None = None
    rules_dir: Path | None = None
    compare_deadline_s: float = 60.0
    drain_s: float = 20.0
    shop_port: int = 0
    """0 takes a free one."""

    @classmethod
    def from_env(cls, **changes: object) -> EmbeddedOptions:
        """The user's own application where `DUALRUN_CELERY_APP` and `DUALRUN_HANDLERS` name one, the sample shop otherwise."""
        names = {"celery_app": "DUALRUN_CELERY_APP", "handlers": "DUALRUN_HANDLERS"}
        found = {field: os.environ[name] for field, name in names.items() if os.environ.get(name)}
        return cls(**{**found, **changes})  # type: ignore[arg-type]  # field names and types are the dataclass's own


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedStack:
    """The running stack."""

    services: Services
    shop_url: str | None


@asynccontextmanager
async def open_embedded(options: EmbeddedOptions) -> AsyncIterator[EmbeddedStack]:
    """The stack while the block runs; on leaving, what was accepted is worked off for at most `drain_s`."""
    telemetry.configure("dualrun")
    effects.install()
    options.state_dir.mkdir(parents=True, exist_ok=True)
    settings = Settings(
        state_dir=options.state_dir, rules_dir=options.rules_dir, compare_deadline_s=options.compare_deadline_s, drain_s=options.drain_s
    )
    async with AsyncExitStack() as stack:
        shop_url = await _open_shop(stack, options)
        broker = MemoryBroker()
        await broker.connect()
        stack.push_async_callback(broker.close)
        await broker.declare(RECORDS_TOPOLOGY)
        records = BrokerRecordSink(broker)
        stack.push_async_callback(records.close)
        catalogue, notices, flags = MemoryCatalogue(), MemoryNotices(), MemoryFlagStore()
        if options.flags_file is not None:
            file = FlagsFile(options.flags_file, flags, alone=settings.flags_mode is FlagsMode.FILE)
            await file.start()
            stack.push_async_callback(file.stop)
        engine = await stack.enter_async_context(open_engine(f"sqlite:///{options.state_dir / 'ledger.sqlite'}"))
        comparator = comparator_of(settings, BrokerRecordSource(broker), SqlLedgerWriter(engine), notices)
        await comparator.start()
        stack.push_async_callback(comparator.stop)
        celery = await _open_celery(stack, options, catalogue, records)
        await _open_event_worker(stack, options, broker, catalogue)
        reader = SqlLedgerReader(engine)
        legacy = CeleryMemoryDispatcher(celery.app)
        stack.callback(legacy.close)
        parts = Parts(
            catalogue=catalogue,
            flags=flags,
            dispatchers={Side.LEGACY: legacy, Side.EVENTS: EventsDispatcher(broker)},
            records=records,
            idempotency=MemoryIdempotencyStore(),
            notices=notices,
            ledger=reader,
            dead_letters=BrokerDeadLetters(broker),
            probes={"ledger": reader.probe},
        )
        stack.push_async_callback(until_empty, partial(_waiting, celery, broker), options.drain_s)
        services = await stack.enter_async_context(assemble(settings, parts))
        yield EmbeddedStack(services=services, shop_url=shop_url)


async def _open_shop(stack: AsyncExitStack, options: EmbeddedOptions) -> str | None:
    """The sample shop, where its tasks are what runs."""
    if options.celery_app != SAMPLE_CELERY_APP:
        return None
    from examples.shop.server import running_shop

    shop = stack.enter_context(running_shop(port=options.shop_port))
    # The sample tasks and handlers read where the shop is from the environment, as they would anywhere.
    before = {name: os.environ.get(name) for name in shop.env}
    os.environ.update(shop.env)
    stack.callback(_restore_environment, before)
    return shop.url


def _restore_environment(before: dict[str, str | None]) -> None:
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


async def _open_celery(
    stack: AsyncExitStack, options: EmbeddedOptions, catalogue: MemoryCatalogue, records: BrokerRecordSink
) -> EmbeddedCelery:
    from legacy_celery.announcing import announcement_of

    loop = asyncio.get_running_loop()
    celery = EmbeddedCelery(options.celery_app, partial(_hand_over, loop, records))
    running = celery.running()
    # Starting and stopping a worker blocks: both happen in a thread.
    await asyncio.to_thread(running.__enter__)
    stack.push_async_callback(asyncio.to_thread, running.__exit__, None, None, None)
    heartbeat = Heartbeat(catalogue, announcement_of(celery.app, worker="embedded-celery", service=SERVICE))
    heartbeat.start()
    stack.callback(heartbeat.stop)
    return celery


def _hand_over(loop: asyncio.AbstractEventLoop, records: BrokerRecordSink, outcomes: Sequence[Outcome]) -> None:
    """From a worker thread: the outcome is on record before the task counts as done."""
    asyncio.run_coroutine_threadsafe(records.append(outcomes), loop).result(30.0)


async def _open_event_worker(stack: AsyncExitStack, options: EmbeddedOptions, broker: MemoryBroker, catalogue: MemoryCatalogue) -> None:
    from event_handlers import collect_handlers
    from event_handlers.runtime import EventWorker

    worker = EventWorker(broker, collect_handlers(options.handlers), service=SERVICE, announcer=catalogue)
    await worker.start()
    stack.push_async_callback(worker.stop, options.drain_s)


async def _waiting(celery: EmbeddedCelery, broker: MemoryBroker) -> int:
    depth = await broker.depth(service_queue(SERVICE))
    return await celery.waiting() + (depth.ready if depth is not None else 0)

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
from dualrun.breakers_memory import MemoryBreakerBoard
from dualrun.broadcast import Broadcast
from dualrun.broker import Message
from dualrun.broker.memory import MemoryBroker
from dualrun.broker.records_topology import RECORDS_TOPOLOGY
from dualrun.contracts import Outcome, Side
from dualrun.contracts.topology import REDIRECT_QUEUE, service_queue
from dualrun.in_force import FlagsInForce
from dualrun.inbox_memory import MemoryInbox
from gateway.access import FileAuditSpool, MemoryAccessStore, MemoryRateCounts
from gateway.api.services import Services
from gateway.app import Parts, assemble, comparator_of, follow_flag_source, gate_watch_of, retention_watch_of
from gateway.app.access import check_access
from gateway.callers import MemoryCallerCounts
from gateway.catalogue.memory import MemoryCatalogue
from gateway.dispatch.celery_canceller import CeleryCanceller
from gateway.dispatch.celery_memory import CeleryMemoryDispatcher
from gateway.dispatch.dead_letters import BrokerDeadLetters
from gateway.dispatch.events import EventsDispatcher
from gateway.dispatch.events_canceller import EventsCanceller
from gateway.embedded.celery_worker import EmbeddedCelery
from gateway.embedded.drain import until_empty
from gateway.flags.memory import MemoryFlagStore
from gateway.flags.wire import StoredFlags, encode_stored
from gateway.gating import MemoryGateNotices
from gateway.idempotency.memory import MemoryIdempotencyStore
from gateway.ledger import (
    SqlAudit,
    SqlGateLedger,
    SqlJudgements,
    SqlLedgerBrowser,
    SqlLedgerReader,
    SqlLedgerWriter,
    SqlRetention,
    SqlTriage,
    open_engine,
)
from gateway.notices import MemoryNoticeLog, MemoryWebhookLeases
from gateway.outcomes.broker import BrokerRecordSink, BrokerRecordSource
from gateway.outcomes.notices import MemoryNotices
from gateway.settings import AccessMode, Settings

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
    access: AccessMode = AccessMode.OFF
    """It listens on a loopback address alone, for trying it out; REQUIRED asks for access tokens there too."""

    @classmethod
    def from_env(cls, **changes: object) -> EmbeddedOptions:
        """The user's own application where `DUALRUN_CELERY_APP` and `DUALRUN_HANDLERS` name one, the sample shop otherwise.

        Access control is off unless `DUALRUN_ACCESS` is `required`.
        """
        names = {"celery_app": "DUALRUN_CELERY_APP", "handlers": "DUALRUN_HANDLERS"}
        found: dict[str, object] = {field: os.environ[name] for field, name in names.items() if os.environ.get(name)}
        if os.environ.get("DUALRUN_ACCESS") == AccessMode.REQUIRED:
            found["access"] = AccessMode.REQUIRED
        return cls(**{**found, **changes})  # type: ignore[arg-type]  # field names and types are the dataclass's own


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedStack:
    """The running stack."""

    services: Services
    shop_url: str | None


@asynccontextmanager
async def open_embedded(options: EmbeddedOptions) -> AsyncIterator[EmbeddedStack]:
    """The stack while the block runs; on leaving, what was accepted is worked off for at most `drain_s`.

    Raises `ConfigurationError` where access tokens are asked for and nobody could create the first.
    """
    telemetry.configure("dualrun")
    effects.install()
    options.state_dir.mkdir(parents=True, exist_ok=True)
    settings = Settings(
        access=options.access,
        # What `listen` takes.
        listen_host="127.0.0.1",
        state_dir=options.state_dir,
        flags_file=options.flags_file,
        rules_dir=options.rules_dir,
        compare_deadline_s=options.compare_deadline_s,
        drain_s=options.drain_s,
    )
    check_access(settings)
    async with AsyncExitStack() as stack:
        shop_url = await _open_shop(stack, options)
        broker = MemoryBroker()
        await broker.connect()
        stack.push_async_callback(broker.close)
        await broker.declare(RECORDS_TOPOLOGY)
        records = BrokerRecordSink(broker)
        stack.push_async_callback(records.close)
        engine = await stack.enter_async_context(open_engine(f"sqlite:///{options.state_dir / 'ledger.sqlite'}"))
        gate_ledger = SqlGateLedger(engine)
        # Evidence is counted by flag version: what an earlier process left in the ledger must not pass for this one's.
        flags = MemoryFlagStore(last_version=await gate_ledger.latest_flag_version())
        catalogue, notices, verdicts = MemoryCatalogue(), MemoryNotices(), MemoryGateNotices()
        of_file = await follow_flag_source(stack, settings, flags, catalogue, options.flags_file)
        comparator = comparator_of(settings, BrokerRecordSource(broker), (SqlLedgerWriter(engine), SqlJudgements(engine)), notices)
        await comparator.start()
        stack.push_async_callback(comparator.stop)
        gate = gate_watch_of(settings, flags=flags, catalogue=catalogue, ledger=gate_ledger, notices=verdicts)
        await gate.start()
        stack.push_async_callback(gate.stop)
        retention = retention_watch_of(settings, SqlRetention(engine))
        await retention.start()
        stack.push_async_callback(retention.stop)
        celery = await _open_celery(stack, options, catalogue, records, broker, _in_force(Side.LEGACY, flags))
        inbox, breakers = MemoryInbox(), MemoryBreakerBoard(SERVICE)
        await _open_event_worker(stack, options, broker, catalogue, inbox, breakers, _in_force(Side.EVENTS, flags))
        _open_scheduler(stack, options, broker)
        reader = SqlLedgerReader(engine)
        legacy = CeleryMemoryDispatcher(celery.app)
        stack.callback(legacy.close)
        parts = Parts(
            catalogue=catalogue,
            breakers=breakers,
            flags=flags,
            dispatchers={Side.LEGACY: legacy, Side.EVENTS: EventsDispatcher(broker)},
            cancellers={Side.LEGACY: CeleryCanceller(celery.app), Side.EVENTS: EventsCanceller(inbox)},
            records=records,
            idempotency=MemoryIdempotencyStore(),
            callers=MemoryCallerCounts(),
            notices=notices,
            ledger=reader,
            browser=SqlLedgerBrowser(engine),
            gate_ledger=gate_ledger,
            triage=SqlTriage(engine),
            dead_letters=BrokerDeadLetters(broker),
            broker=broker,
            legacy_queues=None,
            gate_notices=verdicts,
            notice_log=MemoryNoticeLog(),
            webhook_leases=MemoryWebhookLeases(),
            access=MemoryAccessStore(),
            inbox=inbox,
            audit=SqlAudit(engine),
            rate_counts=MemoryRateCounts(),
            audit_spool=FileAuditSpool(options.state_dir / "audit"),
            broadcast=Broadcast(broker),
            probes={"ledger": reader.probe, **of_file},
            facts={"ledger": reader.facts},
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


def _in_force(side: Side, flags: MemoryFlagStore) -> FlagsInForce:
    in_force = FlagsInForce(side)
    flags.listen(lambda snapshot: in_force.adopt(encode_stored(StoredFlags(snapshot))))
    return in_force


async def _open_celery(
    stack: AsyncExitStack,
    options: EmbeddedOptions,
    catalogue: MemoryCatalogue,
    records: BrokerRecordSink,
    broker: MemoryBroker,
    in_force: FlagsInForce,
) -> EmbeddedCelery:
    from legacy_celery.announcing import announcement_of

    loop = asyncio.get_running_loop()
    celery = EmbeddedCelery(
        options.celery_app, partial(_hand_over, loop, records), in_force=in_force, give_back=partial(_give_back, loop, broker)
    )
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


def _give_back(loop: asyncio.AbstractEventLoop, broker: MemoryBroker, message: Message) -> None:
    """From a worker thread: a gateway has it before Celery lets go of it."""
    asyncio.run_coroutine_threadsafe(broker.publish("", REDIRECT_QUEUE, message), loop).result(30.0)


async def _open_event_worker(
    stack: AsyncExitStack,
    options: EmbeddedOptions,
    broker: MemoryBroker,
    catalogue: MemoryCatalogue,
    inbox: MemoryInbox,
    breakers: MemoryBreakerBoard,
    in_force: FlagsInForce,
) -> None:
    from event_handlers import collect_handlers
    from event_handlers.runtime import EventWorker

    worker = EventWorker(
        broker,
        collect_handlers(options.handlers),
        service=SERVICE,
        announcer=catalogue,
        inbox=inbox,
        breakers=breakers,
        in_force=in_force,
        broadcast=Broadcast(broker),
    )
    await worker.start()
    stack.push_async_callback(worker.stop, options.drain_s)


def _open_scheduler(stack: AsyncExitStack, options: EmbeddedOptions, broker: MemoryBroker) -> None:
    from event_handlers import EventPublisher
    from event_handlers.schedule import MemoryTicks, Scheduler, collect_schedules

    schedules = collect_schedules(options.handlers)
    if schedules:
        scheduler = Scheduler(EventPublisher(broker, f"/{SERVICE}"), schedules, MemoryTicks(), service=SERVICE)
        running = asyncio.create_task(scheduler.run(), name="scheduler")
        stack.callback(running.cancel)


async def _waiting(celery: EmbeddedCelery, broker: MemoryBroker) -> int:
    depth = await broker.depth(service_queue(SERVICE))
    return await celery.waiting() + (depth.ready if depth is not None else 0)

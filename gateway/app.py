"""The only place that wires everything together: the gateway process and the comparator process on real services."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import uuid_utils
from fastapi import FastAPI

from dualrun import telemetry
from dualrun.broker import Broker
from dualrun.broker.rabbitmq import RabbitBroker
from dualrun.broker.records_topology import RECORDS_TOPOLOGY
from dualrun.contracts import ServedTask, Side
from dualrun.contracts.topology import RECORDS_QUEUE
from dualrun.errors import BrokerError, BrokerUnavailable, ConfigurationError
from gateway.api.application import create_application
from gateway.api.direct import DirectRoutes
from gateway.api.services import Probe, Services
from gateway.catalogue.redis import RedisCatalogue
from gateway.comparator import Comparator, comparing_by
from gateway.comparison import RuleBook
from gateway.core.arguments import ArgumentChecker
from gateway.core.dead_letter import DeadLetterStore
from gateway.core.ports import (
    Catalogue,
    Dispatcher,
    FlagStore,
    IdempotencyStore,
    LedgerReader,
    LedgerWriter,
    OutcomeNotices,
    RecordSink,
    RecordSource,
)
from gateway.core.request import TaskRequest
from gateway.dispatch.celery import CeleryDispatcher
from gateway.dispatch.dead_letters import BrokerDeadLetters
from gateway.dispatch.events import EventsDispatcher
from gateway.flags.by_file import FlagsChangedByFile
from gateway.flags.file import FlagsFile
from gateway.flags.redis import RedisFlagStore
from gateway.idempotency.redis import RedisIdempotencyStore
from gateway.ledger import SqlLedgerReader, SqlLedgerWriter, open_engine
from gateway.metrics import Metrics
from gateway.outcomes.broker import BrokerRecordSink, BrokerRecordSource
from gateway.outcomes.notices import RedisNotices
from gateway.rules import load_rules
from gateway.settings import CheckArguments, FlagsMode, Settings
from gateway.usecases.change_flag import ChangeFlag
from gateway.usecases.handle_dead_letters import HandleDeadLetters
from gateway.usecases.read_flag_history import ReadFlagHistory
from gateway.usecases.read_submission import ReadSubmission
from gateway.usecases.roll_back import RollBack
from gateway.usecases.shadow_lane import ShadowLane
from gateway.usecases.submit_task import SubmitTask

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Parts", "assemble", "comparator_of", "create_app", "new_id", "open_comparator", "open_gateway", "utc_now"]

log = logging.getLogger(__name__)

_CONNECT_AGAIN_S = 1.0


def utc_now() -> datetime:
    """The clock of the process."""
    return datetime.now(UTC)


def new_id() -> str:
    """A submission id: UUIDv7, so that ids sort by time."""
    return str(uuid_utils.uuid7())


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The adapters a gateway process stands on: real ones, or those in memory."""

    catalogue: Catalogue
    flags: FlagStore
    dispatchers: Mapping[Side, Dispatcher]
    records: RecordSink
    idempotency: IdempotencyStore
    notices: OutcomeNotices
    ledger: LedgerReader
    dead_letters: DeadLetterStore
    probes: Mapping[str, Probe]


@asynccontextmanager
async def assemble(settings: Settings, parts: Parts) -> AsyncIterator[Services]:
    """The services of a gateway on these parts; on leaving, the shadow lane drains and records are written out."""
    shadows = ShadowLane(parts.dispatchers, capacity=settings.shadow_lane_capacity)
    submit = SubmitTask(
        catalogue=parts.catalogue,
        flags=parts.flags,
        dispatchers=parts.dispatchers,
        records=parts.records,
        idempotency=parts.idempotency,
        shadows=shadows,
        check_arguments=_argument_check(ArgumentChecker()),
        check_always=settings.check_arguments is CheckArguments.ALWAYS,
        now=utc_now,
        new_id=new_id,
    )
    changeable = parts.flags if settings.flags_mode is FlagsMode.STORE else FlagsChangedByFile(parts.flags, settings.flags_file)
    metrics = Metrics()
    metrics.watch_shadows(shadows.counts)
    metrics.watch("dualrun_flag_version", "Version of the flags in force", lambda: float(parts.flags.snapshot.version))
    await shadows.start()
    try:
        yield Services(
            settings=settings,
            submit=submit,
            read=ReadSubmission(parts.ledger, parts.notices, utc_now),
            change_flag=ChangeFlag(changeable),
            flag_history=ReadFlagHistory(parts.flags),
            roll_back=RollBack(changeable),
            flags=parts.flags,
            dead_letters=HandleDeadLetters(parts.dead_letters),
            catalogue=parts.catalogue,
            ledger=parts.ledger,
            metrics=metrics,
            probes=parts.probes,
            now=utc_now,
        )
    finally:
        await shadows.stop(settings.drain_s)
        await submit.settle(settings.drain_s)


@asynccontextmanager
async def open_gateway(settings: Settings) -> AsyncIterator[Services]:
    """A gateway on RabbitMQ, Redis and the ledger's database. It starts whether or not they are there yet."""
    async with AsyncExitStack() as stack:
        broker = await _connected(stack, settings.amqp_url.get_secret_value(), "dualrun-gateway")
        celery_broker = broker
        if settings.celery_url != settings.amqp_url.get_secret_value():
            celery_broker = await _connected(stack, _amqp_only(settings.celery_url), "dualrun-gateway-celery")
        redis_url, prefix = settings.redis_url.get_secret_value(), settings.redis_prefix
        catalogue = RedisCatalogue(redis_url, prefix, last_known_good=settings.state_dir / "catalogue.json")
        flags = RedisFlagStore(redis_url, prefix, last_known_good=settings.state_dir / "flags.json")
        notices = RedisNotices(redis_url, prefix)
        idempotency = RedisIdempotencyStore(redis_url, prefix)
        for part in (catalogue, flags, notices, idempotency):
            await part.start()
            stack.push_async_callback(part.stop)
        by_file = settings.flags_mode is FlagsMode.FILE
        if settings.flags_file is not None and (by_file or settings.flags_file.exists()):
            file = FlagsFile(settings.flags_file, flags, alone=by_file)
            await file.start()
            stack.push_async_callback(file.stop)
        engine = await stack.enter_async_context(open_engine(settings.ledger_url.get_secret_value()))
        ledger = SqlLedgerReader(engine)
        records = BrokerRecordSink(broker)
        stack.push_async_callback(records.close)
        parts = Parts(
            catalogue=catalogue,
            flags=flags,
            dispatchers={Side.LEGACY: CeleryDispatcher(celery_broker), Side.EVENTS: EventsDispatcher(broker)},
            records=records,
            idempotency=idempotency,
            notices=notices,
            ledger=ledger,
            dead_letters=BrokerDeadLetters(broker),
            probes={"broker": _probe(broker), "redis": notices.probe, "ledger": ledger.probe},
        )
        yield await stack.enter_async_context(assemble(settings, parts))


@asynccontextmanager
async def open_comparator(settings: Settings) -> AsyncIterator[Comparator]:
    """The comparator on RabbitMQ and the ledger's database."""
    async with AsyncExitStack() as stack:
        broker = await _connected(stack, settings.amqp_url.get_secret_value(), "dualrun-comparator")
        notices = RedisNotices(settings.redis_url.get_secret_value(), settings.redis_prefix)
        await notices.start()
        stack.push_async_callback(notices.stop)
        engine = await stack.enter_async_context(open_engine(settings.ledger_url.get_secret_value()))
        yield comparator_of(settings, BrokerRecordSource(broker), SqlLedgerWriter(engine), notices)


def comparator_of(settings: Settings, source: RecordSource, ledger: LedgerWriter, notices: OutcomeNotices) -> Comparator:
    """A comparator judging by the rules of `rules_dir`."""
    rules = load_rules(settings.rules_dir) if settings.rules_dir is not None and settings.rules_dir.is_dir() else RuleBook()
    return Comparator(
        source=source, ledger=ledger, notices=notices, compare=comparing_by(rules), now=utc_now, deadline_s=settings.compare_deadline_s
    )


def create_app() -> DirectRoutes:
    """The gateway's application, configured by the environment (uvicorn's factory)."""
    settings = Settings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        telemetry.configure("dualrun-gateway")
        async with open_gateway(settings) as services:
            app.state.services = services
            log.info("gateway_ready")
            yield

    return create_application(lifespan=lifespan)


async def _connected(stack: AsyncExitStack, url: str, name: str) -> RabbitBroker:
    """A broker, connected as soon as it is there: a gateway that starts before RabbitMQ answers 503 until then."""
    broker = RabbitBroker(url, name=name)
    stack.push_async_callback(broker.close)
    try:
        await _connect(broker)
    except BrokerUnavailable as exc:
        log.warning("broker_awaited", extra={"broker": name, "reason": str(exc)})
        task = asyncio.create_task(_connect_when_there(broker), name=f"connect {name}")
        stack.callback(task.cancel)
    return broker


async def _connect(broker: Broker) -> None:
    await broker.connect()
    await broker.declare(RECORDS_TOPOLOGY)


async def _connect_when_there(broker: Broker) -> None:
    while True:
        await asyncio.sleep(_CONNECT_AGAIN_S)
        with suppress(BrokerUnavailable):
            return await _connect(broker)


def _probe(broker: Broker) -> Probe:
    async def probe() -> str | None:
        try:
            await broker.depth(RECORDS_QUEUE)
        except BrokerError as exc:
            return str(exc)
        return None

    return probe


def _amqp_only(url: str) -> str:
    if not url.startswith(("amqp://", "amqps://", "pyamqp://")):
        raise ConfigurationError(f"DUALRUN_CELERY_BROKER_URL must be amqp://..., not {url.split(':', 1)[0]}://...")
    return url.replace("pyamqp://", "amqp://", 1)


def _argument_check(checker: ArgumentChecker) -> Callable[[ServedTask, TaskRequest], None]:
    def check(served: ServedTask, request: TaskRequest) -> None:
        checker.check(served, request.args, request.kwargs)

    return check

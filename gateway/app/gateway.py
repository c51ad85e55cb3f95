"""The gateway process on RabbitMQ, Redis and the ledger's database."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import FastAPI

from dualrun import telemetry
from dualrun.broadcast import Broadcast
from dualrun.collector import spare_collector
from dualrun.contracts import Side
from dualrun.inbox_redis import RedisInbox
from gateway.access import FileAuditSpool, RedisAccessStore, RedisRateCounts
from gateway.api.application import create_application
from gateway.api.guard import Guard
from gateway.api.services import Services
from gateway.app.access import check_access
from gateway.app.assembly import Parts, assemble
from gateway.app.connections import amqp_only, connected, probe_of
from gateway.app.flag_source import follow_flag_source
from gateway.callers import RedisCallerCounts
from gateway.catalogue.breakers import RedisBreakers
from gateway.catalogue.redis import RedisCatalogue
from gateway.console import create_console
from gateway.dispatch.celery import CeleryDispatcher
from gateway.dispatch.celery_canceller import CeleryCanceller, app_for_control
from gateway.dispatch.dead_letters import BrokerDeadLetters
from gateway.dispatch.events import EventsDispatcher
from gateway.dispatch.events_canceller import EventsCanceller
from gateway.flags.redis import RedisFlagStore
from gateway.gating import RedisGateNotices
from gateway.idempotency.redis import RedisIdempotencyStore
from gateway.ledger import SqlAudit, SqlGateLedger, SqlLedgerBrowser, SqlLedgerReader, SqlTriage, open_engine
from gateway.notices import RedisNoticeLog, RedisWebhookLeases
from gateway.otlp_metrics import exporting_metrics
from gateway.outcomes.broker import BrokerRecordSink
from gateway.outcomes.notices import RedisNotices
from gateway.settings import Settings

__all__ = ["create_app", "open_gateway"]

log = logging.getLogger(__name__)


@asynccontextmanager
async def open_gateway(settings: Settings) -> AsyncIterator[Services]:
    """A gateway on RabbitMQ, Redis and the ledger's database. It starts whether or not they are there yet."""
    async with AsyncExitStack() as stack:
        broker = await connected(stack, settings.amqp_url.get_secret_value(), "dualrun-gateway")
        celery_broker = broker
        if settings.celery_url != settings.amqp_url.get_secret_value():
            celery_broker = await connected(stack, amqp_only(settings.celery_url), "dualrun-gateway-celery")
        redis_url, prefix = settings.redis_url.get_secret_value(), settings.redis_prefix
        catalogue = RedisCatalogue(redis_url, prefix, last_known_good=settings.state_dir / "catalogue.json")
        breakers = RedisBreakers(redis_url, prefix)
        broadcast = Broadcast(broker)
        flags = RedisFlagStore(redis_url, prefix, last_known_good=settings.state_dir / "flags.json", broadcast=broadcast)
        notices = RedisNotices(redis_url, prefix)
        idempotency = RedisIdempotencyStore(redis_url, prefix)
        callers = RedisCallerCounts(redis_url, prefix)
        gate_notices, notice_log = RedisGateNotices(redis_url, prefix), RedisNoticeLog(redis_url, prefix)
        webhook_leases = RedisWebhookLeases(redis_url, prefix)
        access = RedisAccessStore(redis_url, prefix, last_known_good=settings.state_dir / "access.json")
        for part in (catalogue, breakers, flags, notices, idempotency, callers, gate_notices, notice_log, webhook_leases, access):
            await part.start()
            stack.push_async_callback(part.stop)
        of_file = await follow_flag_source(stack, settings, flags, catalogue, settings.flags_file)
        engine = await stack.enter_async_context(open_engine(settings.ledger_url.get_secret_value()))
        ledger = SqlLedgerReader(engine)
        inbox = RedisInbox(redis_url, prefix)
        stack.push_async_callback(inbox.close)
        records = BrokerRecordSink(broker)
        stack.push_async_callback(records.close)
        parts = Parts(
            catalogue=catalogue,
            breakers=breakers,
            flags=flags,
            dispatchers={
                Side.LEGACY: CeleryDispatcher(celery_broker, serializers=settings.celery_serializers),
                Side.EVENTS: EventsDispatcher(broker),
            },
            cancellers={Side.LEGACY: CeleryCanceller(app_for_control(settings.celery_url)), Side.EVENTS: EventsCanceller(inbox)},
            records=records,
            idempotency=idempotency,
            callers=callers,
            notices=notices,
            ledger=ledger,
            browser=SqlLedgerBrowser(engine),
            gate_ledger=SqlGateLedger(engine),
            triage=SqlTriage(engine),
            dead_letters=BrokerDeadLetters(broker),
            gate_notices=gate_notices,
            notice_log=notice_log,
            webhook_leases=webhook_leases,
            access=access,
            audit=SqlAudit(engine),
            rate_counts=RedisRateCounts(redis_url, prefix),
            audit_spool=FileAuditSpool(settings.state_dir / "audit"),
            broker=broker,
            legacy_queues=celery_broker,
            inbox=inbox,
            broadcast=broadcast,
            probes={"broker": probe_of(broker), "redis": notices.probe, "ledger": ledger.probe, **of_file},
            facts={"redis": notices.facts, "ledger": ledger.facts},
        )
        yield await stack.enter_async_context(assemble(settings, parts))


def create_app() -> Guard:
    """The gateway's application, configured by the environment (uvicorn's factory).

    Raises `ConfigurationError` where access control is needed and nobody could log in, or is off on an address others reach.
    """
    settings = Settings()
    check_access(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        telemetry.configure("dualrun-gateway")
        async with open_gateway(settings) as services:
            app.state.services = services
            spare_collector()
            log.info("gateway_ready")
            with exporting_metrics("dualrun-gateway", services.metrics.registry):
                yield

    return create_application(lifespan=lifespan, console=create_console)

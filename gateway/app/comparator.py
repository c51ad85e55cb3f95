"""The comparator process on RabbitMQ, Redis and the ledger's database, with the gate and the ledger's retention beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from dualrun import telemetry
from gateway.app.connections import connected
from gateway.app.flag_source import changeable_flags
from gateway.app.process import new_id, utc_now
from gateway.catalogue.redis import RedisCatalogue
from gateway.comparator import Comparator
from gateway.comparison import Redactor, RuleBook
from gateway.core.ports import (
    Catalogue,
    FlagStore,
    GateLedger,
    GateNotices,
    JudgementLedger,
    LedgerWriter,
    OutcomeNotices,
    RecordSource,
    RetentionLedger,
)
from gateway.flags.redis import RedisFlagStore
from gateway.gating import GateWatch, RedisGateNotices
from gateway.judge import Judge
from gateway.ledger import SqlGateLedger, SqlJudgements, SqlLedgerWriter, SqlRetention, open_engine
from gateway.outcomes.broker import BrokerRecordSource
from gateway.outcomes.notices import RedisNotices
from gateway.retention import RetentionWatch
from gateway.rules import load_rules
from gateway.rules.following import RuleFollower
from gateway.settings import Settings
from gateway.usecases.apply_retention import ApplyRetention, Retention
from gateway.usecases.read_gate import ReadGate
from gateway.usecases.run_gate import RunGate
from gateway.usecases.tell_verdict import TellVerdict
from gateway.usecases.watch_workers import WatchWorkers

__all__ = ["Comparing", "comparator_of", "gate_watch_of", "open_comparator", "retention_watch_of"]


@dataclass(frozen=True, slots=True)
class Comparing:
    """What a comparator process runs."""

    comparator: Comparator
    gate: GateWatch
    retention: RetentionWatch


@asynccontextmanager
async def open_comparator(settings: Settings) -> AsyncIterator[Comparing]:
    """A comparator, and what runs beside it, on RabbitMQ, Redis and the ledger's database."""
    telemetry.configure("dualrun-comparator")
    async with AsyncExitStack() as stack:
        broker = await connected(stack, settings.amqp_url.get_secret_value(), "dualrun-comparator")
        redis_url, prefix = settings.redis_url.get_secret_value(), settings.redis_prefix
        notices, verdicts = RedisNotices(redis_url, prefix), RedisGateNotices(redis_url, prefix)
        catalogue, flags = RedisCatalogue(redis_url, prefix), RedisFlagStore(redis_url, prefix)
        for part in (notices, verdicts, catalogue, flags):
            await part.start()
            stack.push_async_callback(part.stop)
        engine = await stack.enter_async_context(open_engine(settings.ledger_url.get_secret_value()))
        yield Comparing(
            comparator=comparator_of(settings, BrokerRecordSource(broker), (SqlLedgerWriter(engine), SqlJudgements(engine)), notices),
            gate=gate_watch_of(settings, flags=flags, catalogue=catalogue, ledger=SqlGateLedger(engine), notices=verdicts),
            retention=retention_watch_of(settings, SqlRetention(engine)),
        )


def comparator_of(
    settings: Settings, source: RecordSource, ledger: tuple[LedgerWriter, JudgementLedger], notices: OutcomeNotices
) -> Comparator:
    """A comparator judging by the rules of `rules_dir`, as they change."""
    rules = load_rules(settings.rules_dir) if settings.rules_dir is not None and settings.rules_dir.is_dir() else RuleBook()
    judge = Judge(rules, Redactor(settings.redaction_key.get_secret_value()))
    follower = RuleFollower(settings.rules_dir, judge, ledger[1], now=utc_now)
    return Comparator(
        source=source,
        ledger=ledger[0],
        notices=notices,
        judge=judge,
        now=utc_now,
        deadline_s=settings.compare_deadline_s,
        follow_rules=follower.run,
    )


def gate_watch_of(settings: Settings, *, flags: FlagStore, catalogue: Catalogue, ledger: GateLedger, notices: GateNotices) -> GateWatch:
    """The gate's loop; several comparators may each have one."""
    changeable = changeable_flags(settings, flags)
    tell = TellVerdict(ledger, notices)
    reading = ReadGate(flags=flags, catalogue=catalogue, ledger=ledger, now=utc_now)
    return GateWatch(
        gate=RunGate(flags=changeable, gate=reading, catalogue=catalogue, tell=tell, new_id=new_id),
        workers=WatchWorkers(
            flags=changeable, catalogue=catalogue, tell=tell, new_id=new_id, now=utc_now, grace_s=settings.worker_loss_grace_s
        ),
        interval_s=settings.gate_interval_s,
    )


def retention_watch_of(settings: Settings, ledger: RetentionLedger) -> RetentionWatch:
    """The loop that drops what the ledger keeps no longer."""
    return RetentionWatch(ApplyRetention(ledger, retention_of(settings), now=utc_now))


def retention_of(settings: Settings) -> Retention:
    """How long things stay."""
    return Retention(records=_days(settings.retention_records_days), hours=_days(settings.retention_hours_days))


def _days(days: float) -> timedelta | None:
    return timedelta(days=days) if days else None

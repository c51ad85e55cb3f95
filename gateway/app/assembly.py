"""The services of a gateway on its parts, real ones or those in memory."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

from dualrun.broadcast import Broadcast
from dualrun.broker import Broker
from dualrun.contracts import Parameter, ServedTask, Side
from dualrun.inbox import Inbox
from gateway.access import Limits, RateCounts
from gateway.api.services import Probe, Services
from gateway.app.access import authenticator_of, oidc_of
from gateway.app.flag_source import changeable_flags
from gateway.app.process import gateway_name, new_id, utc_now
from gateway.comparison import Redactor
from gateway.core.arguments import ArgumentChecker
from gateway.core.dead_letter import DeadLetterStore
from gateway.core.ports import (
    AccessStore,
    AuditLedger,
    AuditSpool,
    BreakerReader,
    CallerCounts,
    Canceller,
    Catalogue,
    Dispatcher,
    FlagStore,
    GateLedger,
    GateNotices,
    IdempotencyStore,
    LedgerBrowser,
    LedgerReader,
    NoticeLog,
    OutcomeNotices,
    QueueGauge,
    RecordSink,
    TriageLedger,
    WebhookLeases,
)
from gateway.core.request import TaskRequest
from gateway.dispatch.redirects import ParametersOf, RedirectConsumer
from gateway.dispatch.take_back import TakeBack
from gateway.metrics import CountsCollector, Metrics
from gateway.notices import NoticeTeller, WebhookSender, load_webhooks
from gateway.part_watch import PartWatch
from gateway.rules.files import FolderOfRules
from gateway.settings import CheckArguments, Settings
from gateway.usecases.audit_trail import AuditTrail
from gateway.usecases.cancel_task import CancelTask
from gateway.usecases.change_flag import ChangeFlag
from gateway.usecases.examine_installation import ExamineInstallation, FactsOf
from gateway.usecases.examine_task import ExamineTask
from gateway.usecases.forward import AdmitForward
from gateway.usecases.handle_dead_letters import HandleDeadLetters
from gateway.usecases.in_flight import InFlight
from gateway.usecases.make_rule import MakeRule
from gateway.usecases.manage_tokens import ManageTokens
from gateway.usecases.promote_task import PromoteTask
from gateway.usecases.read_flag_history import ReadFlagHistory
from gateway.usecases.read_gate import ReadGate
from gateway.usecases.read_in_flight import ReadInFlight
from gateway.usecases.read_queues import ReadQueues
from gateway.usecases.read_submission import ReadSubmission
from gateway.usecases.redirect_work import RedirectWork, Whereto
from gateway.usecases.roll_back import RollBack
from gateway.usecases.shadow_lane import ShadowLane
from gateway.usecases.submit_again import SubmitAgain
from gateway.usecases.submit_task import SubmitTask
from gateway.usecases.triage_differences import TriageDifferences

__all__ = ["Parts", "assemble"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The adapters a gateway process stands on: real ones, or those in memory."""

    catalogue: Catalogue
    breakers: BreakerReader
    flags: FlagStore
    dispatchers: Mapping[Side, Dispatcher]
    cancellers: Mapping[Side, Canceller]
    records: RecordSink
    idempotency: IdempotencyStore
    callers: CallerCounts
    notices: OutcomeNotices
    ledger: LedgerReader
    browser: LedgerBrowser
    gate_ledger: GateLedger
    triage: TriageLedger
    dead_letters: DeadLetterStore
    gate_notices: GateNotices
    notice_log: NoticeLog
    webhook_leases: WebhookLeases
    access: AccessStore
    audit: AuditLedger
    audit_spool: AuditSpool
    rate_counts: RateCounts
    broker: Broker
    """What redirects go through."""
    legacy_queues: QueueGauge | None
    """The Celery workers' broker; None where it cannot be asked."""
    inbox: Inbox
    """Where event workers claim their work."""
    broadcast: Broadcast
    probes: Mapping[str, Probe]
    facts: Mapping[str, FactsOf] = field(default_factory=dict)
    """Version and clock of the parts that have them."""


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
        callers=parts.callers,
        shadows=shadows,
        check_arguments=_argument_check(ArgumentChecker()),
        check_always=settings.check_arguments is CheckArguments.ALWAYS,
        now=utc_now,
        new_id=new_id,
    )
    redactor = Redactor(settings.redaction_key.get_secret_value())
    read = ReadSubmission(parts.ledger, parts.notices, utc_now, shown=redactor.shown, callers=parts.callers)
    changeable = changeable_flags(settings, parts.flags)
    metrics = Metrics()
    metrics.watch_shadows(shadows.counts)
    metrics.watch_flags(parts.flags)
    gate = ReadGate(flags=parts.flags, catalogue=parts.catalogue, ledger=parts.gate_ledger, now=utc_now)
    admit = AdmitForward(gate=gate, catalogue=parts.catalogue)
    metrics.watch("dualrun_flag_version", "Version of the flags in force", lambda: float(parts.flags.snapshot.version))
    limits = Limits(parts.rate_counts, rate_per_s=settings.rate_per_s, max_waits=settings.max_waits)
    metrics.watch("dualrun_requests_limited", "Requests refused for being too many", lambda: float(limits.refused))
    trail = AuditTrail(parts.audit, parts.audit_spool)
    in_flight = InFlight(gateway_name(), parts.broadcast.tell)
    parts.broadcast.listen(in_flight.hear)
    redirects = RedirectConsumer(parts.broker, _redirecting(parts, in_flight, metrics), _parameters_of(parts.catalogue))
    take_back = TakeBack(
        parts.broker,
        parts.inbox,
        catalogue=parts.catalogue,
        snapshot=lambda: parts.flags.snapshot,
        idempotency=parts.idempotency,
        tell=parts.broadcast.tell,
        gateway=gateway_name(),
    )
    await shadows.start()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(submit.settle, settings.drain_s)
        stack.push_async_callback(shadows.stop, settings.drain_s)
        await parts.broadcast.start()
        stack.push_async_callback(parts.broadcast.stop)
        stack.push_async_callback(in_flight.stop)
        await take_back.start()
        stack.push_async_callback(take_back.stop)
        await redirects.start()
        stack.push_async_callback(redirects.stop, settings.drain_s)
        await limits.start()
        stack.push_async_callback(limits.stop)
        await trail.start()
        stack.push_async_callback(trail.stop)
        await stack.enter_async_context(_telling(settings, parts, metrics))
        part_watch = PartWatch(probes=parts.probes, broker=parts.broker, catalogue=parts.catalogue)
        metrics.register(part_watch)
        await part_watch.start()
        stack.push_async_callback(part_watch.stop)
        yield Services(
            settings=settings,
            submit=submit,
            read=read,
            cancel=CancelTask(read=read, catalogue=parts.catalogue, cancellers=parts.cancellers),
            change_flag=ChangeFlag(changeable, admit),
            flag_history=ReadFlagHistory(parts.flags),
            roll_back=RollBack(changeable, admit),
            gate=gate,
            promote=PromoteTask(flags=changeable, gate=gate, catalogue=parts.catalogue),
            read_in_flight=ReadInFlight(in_flight, parts.catalogue),
            flags=parts.flags,
            dead_letters=HandleDeadLetters(parts.dead_letters),
            catalogue=parts.catalogue,
            breakers=parts.breakers,
            ledger=parts.ledger,
            browser=parts.browser,
            queues=ReadQueues(parts.catalogue, parts.broker, parts.legacy_queues),
            submit_again=SubmitAgain(read, submit),
            make_rule=MakeRule(parts.browser, FolderOfRules(settings.rules_dir), utc_now),
            notice_log=parts.notice_log,
            examine=ExamineTask(
                parts.ledger,
                parts.catalogue,
                parts.callers,
                now=utc_now,
                deadline_s=settings.compare_deadline_s,
                max_body_bytes=settings.max_body_bytes,
            ),
            examine_installation=ExamineInstallation(
                probes=parts.probes, facts=parts.facts, broker=parts.broker, catalogue=parts.catalogue, flags=parts.flags, now=utc_now
            ),
            differences=TriageDifferences(parts.ledger, parts.triage, utc_now, shown=redactor.shown),
            metrics=metrics,
            authenticator=authenticator_of(settings, parts.access),
            tokens=ManageTokens(
                parts.access, draw_id=partial(secrets.token_hex, 6), draw_secret=partial(secrets.token_urlsafe, 32), now=utc_now
            ),
            oidc=oidc_of(settings),
            audit=trail,
            limits=limits,
            new_id=new_id,
            probes=parts.probes,
            now=utc_now,
        )


@asynccontextmanager
async def _telling(settings: Settings, parts: Parts, metrics: Metrics) -> AsyncIterator[None]:
    """Tell webhooks and the event stream of flag versions and of the gate's word, while the block runs."""
    webhooks = load_webhooks(settings.webhooks_file, os.environ)
    sender = WebhookSender(webhooks, parts.notice_log, parts.webhook_leases, allowed=settings.webhooks_allow)
    metrics.register(CountsCollector("dualrun_webhooks", sender.counts))
    teller = NoticeTeller(parts.flags, parts.gate_notices, parts.notice_log)
    await teller.start()
    await sender.start()
    try:
        yield
    finally:
        await sender.stop()
        await teller.stop()


def _redirecting(parts: Parts, in_flight: InFlight, metrics: Metrics) -> RedirectWork:
    def tell(version: int, whereto: Whereto) -> None:
        metrics.redirected(whereto)
        in_flight.count(version, whereto)

    return RedirectWork(
        catalogue=parts.catalogue,
        flags=parts.flags,
        dispatchers=parts.dispatchers,
        records=parts.records,
        idempotency=parts.idempotency,
        now=utc_now,
        tell=tell,
    )


def _parameters_of(catalogue: Catalogue) -> ParametersOf:
    """Those of the events side: by them arguments became a payload."""

    def parameters_of(task: str) -> Sequence[Parameter] | None:
        served = catalogue.served_by(task).get(Side.EVENTS)
        return None if served is None else served.parameters

    return parameters_of


def _argument_check(checker: ArgumentChecker) -> Callable[[ServedTask, TaskRequest], None]:
    def check(served: ServedTask, request: TaskRequest) -> None:
        checker.check(served, request.args, request.kwargs)

    return check

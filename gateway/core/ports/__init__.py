"""What the use cases ask of the outside. Each port has a real adapter and an in-memory one, and one conformance suite for both."""

from gateway.core.ports.access import AccessStore
from gateway.core.ports.audit import AuditLedger, AuditSpool
from gateway.core.ports.breakers import BreakerReader
from gateway.core.ports.browsing import LedgerBrowser
from gateway.core.ports.callers import CallerAct, CallerCounts
from gateway.core.ports.catalogue import Catalogue
from gateway.core.ports.dispatching import Canceller, Dispatcher, QueueGauge
from gateway.core.ports.flags import FlagStore
from gateway.core.ports.gate import GateLedger, GateNotices, NumberedVerdict
from gateway.core.ports.idempotency import Claim, ClaimState, IdempotencyStore
from gateway.core.ports.judgement import JudgementLedger, RulesInForce, Stored
from gateway.core.ports.ledger import LedgerReader, LedgerWriter, Pair, TriageLedger
from gateway.core.ports.notices import NoticeLog, OutcomeNotices, WebhookLeases
from gateway.core.ports.records import RecordBatch, RecordSink, RecordSource
from gateway.core.ports.retention import Place, RetentionLedger
from gateway.core.ports.rules import RuleFiles, RuleText

__all__ = [
    "AccessStore",
    "AuditLedger",
    "AuditSpool",
    "BreakerReader",
    "CallerAct",
    "CallerCounts",
    "Canceller",
    "Catalogue",
    "Claim",
    "ClaimState",
    "Dispatcher",
    "FlagStore",
    "GateLedger",
    "GateNotices",
    "IdempotencyStore",
    "JudgementLedger",
    "LedgerBrowser",
    "LedgerReader",
    "LedgerWriter",
    "NoticeLog",
    "NumberedVerdict",
    "OutcomeNotices",
    "Pair",
    "Place",
    "QueueGauge",
    "RecordBatch",
    "RecordSink",
    "RecordSource",
    "RetentionLedger",
    "RuleFiles",
    "RuleText",
    "RulesInForce",
    "Stored",
    "TriageLedger",
    "WebhookLeases",
]

"""What the routes need, put together by `gateway.app.assembly`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from fastapi import Request

from dualrun.contracts import Side
from gateway.access import Authenticator, Limits
from gateway.core.ports import BreakerReader, Catalogue, FlagStore, LedgerBrowser, LedgerReader, NoticeLog
from gateway.metrics import Metrics
from gateway.settings import Settings
from gateway.usecases.audit_trail import AuditTrail
from gateway.usecases.cancel_task import CancelTask
from gateway.usecases.change_flag import ChangeFlag
from gateway.usecases.examine_installation import ExamineInstallation
from gateway.usecases.examine_task import ExamineTask
from gateway.usecases.handle_dead_letters import HandleDeadLetters
from gateway.usecases.make_rule import MakeRule
from gateway.usecases.manage_tokens import ManageTokens
from gateway.usecases.promote_task import PromoteTask
from gateway.usecases.read_flag_history import ReadFlagHistory
from gateway.usecases.read_gate import ReadGate
from gateway.usecases.read_in_flight import ReadInFlight
from gateway.usecases.read_queues import ReadQueues
from gateway.usecases.read_submission import ReadSubmission
from gateway.usecases.roll_back import RollBack
from gateway.usecases.submit_again import SubmitAgain
from gateway.usecases.submit_task import SubmitTask
from gateway.usecases.triage_differences import TriageDifferences

if TYPE_CHECKING:
    from gateway.access.oidc import OidcProvider

__all__ = ["Probe", "Services", "services_of"]

Probe = Callable[[], Awaitable[str | None]]
"""Asks a part whether it works: None, or what is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """One gateway process."""

    settings: Settings
    submit: SubmitTask
    read: ReadSubmission
    cancel: CancelTask
    change_flag: ChangeFlag
    flag_history: ReadFlagHistory
    roll_back: RollBack
    gate: ReadGate
    promote: PromoteTask
    read_in_flight: ReadInFlight
    dead_letters: HandleDeadLetters
    flags: FlagStore
    catalogue: Catalogue
    breakers: BreakerReader
    ledger: LedgerReader
    browser: LedgerBrowser
    queues: ReadQueues
    submit_again: SubmitAgain
    make_rule: MakeRule
    notice_log: NoticeLog
    differences: TriageDifferences
    examine: ExamineTask
    examine_installation: ExamineInstallation
    metrics: Metrics
    authenticator: Authenticator | None
    """Knows callers; None where access control is off."""
    tokens: ManageTokens
    oidc: OidcProvider | None
    """Whom people may log in with besides; None where there is none."""
    audit: AuditTrail
    limits: Limits
    new_id: Callable[[], str]
    probes: Mapping[str, Probe]
    now: Callable[[], datetime]
    sides: tuple[Side, ...] = (Side.LEGACY, Side.EVENTS)


def services_of(request: Request) -> Services:
    """The services of the process that serves this request."""
    services = request.app.state.services
    assert isinstance(services, Services)
    return services

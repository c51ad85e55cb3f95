"""What the routes need, put together by `gateway.app`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from fastapi import Request

from dualrun.contracts import Side
from gateway.core.ports import Catalogue, FlagStore, LedgerReader
from gateway.metrics import Metrics
from gateway.settings import Settings
from gateway.usecases.change_flag import ChangeFlag
from gateway.usecases.handle_dead_letters import HandleDeadLetters
from gateway.usecases.read_flag_history import ReadFlagHistory
from gateway.usecases.read_submission import ReadSubmission
from gateway.usecases.roll_back import RollBack
from gateway.usecases.submit_task import SubmitTask

__all__ = ["Probe", "Services", "services_of"]

Probe = Callable[[], Awaitable[str | None]]
"""Asks a part whether it works: None, or what is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """One gateway process."""

    settings: Settings
    submit: SubmitTask
    read: ReadSubmission
    change_flag: ChangeFlag
    flag_history: ReadFlagHistory
    roll_back: RollBack
    dead_letters: HandleDeadLetters
    flags: FlagStore
    catalogue: Catalogue
    ledger: LedgerReader
    metrics: Metrics
    probes: Mapping[str, Probe]
    now: Callable[[], datetime]
    sides: tuple[Side, ...] = (Side.LEGACY, Side.EVENTS)


def services_of(request: Request) -> Services:
    """The services of the process that serves this request."""
    services = request.app.state.services
    assert isinstance(services, Services)
    return services

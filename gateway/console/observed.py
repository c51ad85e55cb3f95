"""What the ledger knows, for pages that have to work without it: a rollback must not need the ledger."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gateway.api.services import Services
from gateway.core.errors import StoreUnavailable
from gateway.core.report import ReportScope, ShadowReport
from gateway.report.summary import ReportSummary, summarise

__all__ = ["Observed", "observed_of_all", "observed_of_task"]


@dataclass(frozen=True, slots=True)
class Observed:
    """The report in words; empty, with `away` saying why, while the ledger is out of reach."""

    summary: ReportSummary
    away: str | None = None


async def observed_of_task(services: Services, task: str) -> Observed:
    """One task's whole report."""
    return await _observed(services, lambda: services.ledger.shadow_report(ReportScope(task=task), now=services.now()))


async def observed_of_all(services: Services) -> Observed:
    """How every task stands, without times and samples."""
    return await _observed(services, lambda: services.browser.standing(now=services.now()))


async def _observed(services: Services, ask: Callable[[], Awaitable[ShadowReport]]) -> Observed:
    try:
        return Observed(summarise(await ask()))
    except StoreUnavailable as exc:
        return Observed(summarise(ShadowReport(generated_at=services.now(), tasks=())), str(exc))

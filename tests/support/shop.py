"""The sample shop as tests see it, and what one run of a task left behind there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from celery import Celery

from examples.shop.server import RunningShop

__all__ = ["Trace", "legacy_app", "run_legacy", "trace_of"]


@dataclass(frozen=True, slots=True)
class Trace:
    """How a run ended, the writes the shop received (those it refused left out), and the mails, byte for byte."""

    value: object
    error: str | None
    calls: list[dict[str, object]]
    mails: list[dict[str, object]]


def trace_of(shop: RunningShop, *, value: object = None, error: str | None = None) -> Trace:
    """What the shop has seen since its last reset."""
    calls = [asdict(call) for call in shop.state.calls if call.status < 500]
    return Trace(value=value, error=error, calls=calls, mails=[asdict(mail) for mail in shop.mail.messages])


def legacy_app() -> Celery:
    """The sample Celery application with its tasks registered."""
    from legacy_celery.app import app

    app.loader.import_default_modules()
    return app


def run_legacy(shop: RunningShop, task: str, args: Sequence[object] = (), kwargs: Mapping[str, object] | None = None) -> Trace:
    """Run a Celery task to its end, retries included, on an empty shop."""
    shop.reset()
    result = legacy_app().tasks[task].apply(tuple(args), dict(kwargs or {}))
    if result.successful():
        return trace_of(shop, value=result.result)
    return trace_of(shop, error=type(result.result).__name__)

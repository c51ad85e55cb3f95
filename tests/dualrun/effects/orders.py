"""An order, as SQLAlchemy sees it, and a run that writes some."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from dualrun.contracts import JsonValue, Outcome, Role, Side
from dualrun.effects import Execution, execution
from gateway.comparison import compare_outcomes
from tests.support.comparing import Result, an_outcome

__all__ = ["Order", "compared_runs", "running"]


class _Base(DeclarativeBase):
    pass


class Order(_Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    status: Mapped[str]
    note: Mapped[str | None]


def running(role: Role = Role.SHADOW) -> Execution:
    """A run on the events side, to be entered."""
    return execution(role=role, side=Side.EVENTS, submission_id="s", task="t")


def compared_runs(work: Callable[[], JsonValue], shadowed: Callable[[], JsonValue] | None = None) -> Result:
    """The work done by an authority and then by its shadow, or what the shadow does in its place, compared."""
    authority = _outcome(Role.AUTHORITY, work)
    return compare_outcomes(authority, _outcome(Role.SHADOW, shadowed or work))


def _outcome(role: Role, work: Callable[[], JsonValue]) -> Outcome:
    with running(role) as run:
        value = work()
    return msgspec.structs.replace(an_outcome(role, value, effects=run.effects), generated=run.generated_keys)

"""An order, as SQLAlchemy sees it, and a run that writes some."""

from __future__ import annotations

from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from dualrun.contracts import Role, Side
from dualrun.effects import Execution, execution

__all__ = ["Order", "running"]


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

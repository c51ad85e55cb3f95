"""A report's scope as conditions on columns."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from gateway.core.moment import hour_of
from gateway.core.report import ReportScope
from gateway.ledger import schema

__all__ = ["of_cohort", "of_counts", "of_hours", "of_task", "of_version"]

Conditions = list[sa.ColumnElement[bool]]


def of_task(scope: ReportScope, column: sa.Column[str]) -> Conditions:
    """One task, or all."""
    return [] if scope.task is None else [column == scope.task]


def of_version(scope: ReportScope, column: sa.Column[int]) -> Conditions:
    """One flag version, or all."""
    return [] if scope.flag_version is None else [column == scope.flag_version]


def of_cohort(scope: ReportScope, column: sa.Column[str]) -> Conditions:
    """One targeting rule, none, or all."""
    return [] if scope.cohort is None else [column == scope.cohort]


def of_hours(scope: ReportScope, column: sa.Column[datetime]) -> Conditions:
    """From the hour `since` is in to the hour `until` is in."""
    if scope.is_all_time:
        return []
    begin = column > schema.ALL_TIME if scope.since is None else column >= hour_of(scope.since)
    return [begin] if scope.until is None else [begin, column <= scope.until]


def of_counts(scope: ReportScope, column: sa.Column[datetime]) -> Conditions:
    """The hours of the scope, or the totals of all time."""
    return [column == schema.ALL_TIME] if scope.is_all_time else of_hours(scope, column)

"""Several comparators on one ledger."""

from __future__ import annotations

import asyncio
import random

from sqlalchemy.ext.asyncio import AsyncEngine

from dualrun.contracts import Record, Role
from gateway.core.comparison import Comparison, Verdict
from gateway.core.report import ReportScope
from gateway.ledger import SqlLedgerReader, SqlLedgerWriter, create_ledger_engine
from tests.support.records import NOON, a_comparison, a_difference, a_record, an_outcome

WRITERS = 4


def shuffled(comparisons: list[Comparison], seed: int) -> list[Comparison]:
    return random.Random(seed).sample(comparisons, len(comparisons))


async def test_comparisons_stored_by_several_at_once_count_once(engine: AsyncEngine, ledger_url: str) -> None:
    engines = [create_ledger_engine(ledger_url) for _ in range(WRITERS)]
    comparisons = [a_comparison(f"s{n}", Verdict.DIFFERENT_VALUE, a_difference(f"/value/{n % 7}")) for n in range(120)]
    writers = [SqlLedgerWriter(own) for own in engines]
    for start in range(0, 120, 30):
        batch = comparisons[start : start + 30]
        await asyncio.gather(*(writer.store(shuffled(batch, seed)) for seed, writer in enumerate(writers)))
    (task,) = (await SqlLedgerReader(engine).shadow_report(ReportScope(), now=NOON)).tasks
    for own in engines:
        await own.dispose()
    assert task.counts == {Verdict.DIFFERENT_VALUE: 120}
    assert sum(group.count for group in task.groups) == 120
    assert (task.authority_latency.count, task.shadow_latency.count) == (120, 120)


async def test_missing_replaced_by_several_at_once_moves_the_counters_once(engine: AsyncEngine, ledger_url: str) -> None:
    engines = [create_ledger_engine(ledger_url) for _ in range(WRITERS)]
    writers = [SqlLedgerWriter(own) for own in engines]
    await writers[0].store([a_comparison(f"s{n}", Verdict.MISSING, missing="shadow", shadow_ms=None) for n in range(40)])
    late = [a_comparison(f"s{n}", Verdict.LATE, a_difference(), missing="shadow") for n in range(40)]
    await asyncio.gather(*(writer.store(shuffled(late, seed)) for seed, writer in enumerate(writers)))
    (task,) = (await SqlLedgerReader(engine).shadow_report(ReportScope(), now=NOON)).tasks
    for own in engines:
        await own.dispose()
    assert task.counts == {Verdict.LATE: 40}
    assert [group.count for group in task.groups] == [40]


async def test_of_outcomes_appended_by_several_at_once_one_counts(engine: AsyncEngine, ledger_url: str) -> None:
    engines = [create_ledger_engine(ledger_url) for _ in range(WRITERS)]
    writers = [SqlLedgerWriter(own) for own in engines]

    def records(writer: int) -> list[Record]:
        found: list[Record] = [a_record(f"s{n}") for n in range(50)]
        found += [an_outcome(f"s{n}", role, value=writer) for n in range(50) for role in Role]
        return random.Random(writer).sample(found, len(found))

    await asyncio.gather(*(writer.append(records(n), arrived_at=NOON) for n, writer in enumerate(writers)))
    pairs = await writers[0].pairs([f"s{n}" for n in range(50)])
    for own in engines:
        await own.dispose()
    assert len(pairs) == 50
    assert all(set(pair.outcomes) == set(Role) for pair in pairs)

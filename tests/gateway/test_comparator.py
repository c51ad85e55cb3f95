"""The comparator: nothing lost, nothing counted twice, nothing that stops it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dualrun.broker import Broker, Message
from dualrun.broker.memory import MemoryBroker
from dualrun.broker.rabbitmq import RabbitBroker
from dualrun.broker.records_topology import RECORDS_TOPOLOGY
from dualrun.contracts import Outcome, Record, Role, Submission
from dualrun.contracts.topology import RECORDS_QUEUE
from gateway.comparator import Comparator, Judging
from gateway.comparison import Redactor, RuleBook
from gateway.core.comparison import DifferenceKind, Verdict
from gateway.core.pairing import Judgement
from gateway.core.ports import LedgerReader, LedgerWriter
from gateway.core.report import ReportScope
from gateway.judge import Judge
from gateway.ledger import MemoryLedger, SqlLedgerReader, SqlLedgerWriter, create_ledger_engine, open_engine, upgrade
from gateway.outcomes.broker import BrokerRecordSink, BrokerRecordSource
from gateway.outcomes.notices import MemoryNotices
from tests.support.records import NOON, a_record, an_outcome

ROOT = Path(__file__).parents[2]
BY_NO_RULES = Judge(RuleBook(), Redactor("key"))


@pytest.fixture
async def broker() -> AsyncIterator[MemoryBroker]:
    broker = MemoryBroker()
    await broker.connect()
    await broker.declare(RECORDS_TOPOLOGY)
    yield broker
    await broker.close()


def a_comparator(
    broker: Broker,
    ledger: LedgerWriter,
    *,
    notices: MemoryNotices | None = None,
    judge: Judging = BY_NO_RULES,
    now: Callable[[], datetime] = lambda: NOON,
    sweep_interval_s: float = 0.02,
) -> Comparator:
    return Comparator(
        source=BrokerRecordSource(broker),
        ledger=ledger,
        notices=notices or MemoryNotices(),
        judge=judge,
        now=now,
        deadline_s=60,
        sweep_interval_s=sweep_interval_s,
    )


def a_whole(submission_id: str, authority: int = 1, shadow: int = 1) -> list[Record]:
    """A submission and both its outcomes."""
    authority_outcome = an_outcome(submission_id, Role.AUTHORITY, value=authority)
    return [a_record(submission_id), authority_outcome, an_outcome(submission_id, Role.SHADOW, value=shadow)]


async def counts_of(ledger: LedgerReader) -> dict[Verdict, int]:
    report = await ledger.shadow_report(ReportScope(task="shop.charge"), now=NOON)
    return dict(report.tasks[0].counts)


async def until(is_so: Callable[[], Awaitable[bool]]) -> None:
    """Return once it is so. What is awaited here happens in a ledger, perhaps by another process: it can only be looked at."""
    async with asyncio.timeout(30):
        while not await is_so():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def until_counts(ledger: LedgerReader, wanted: dict[Verdict, int]) -> None:
    async def is_so() -> bool:
        return await counts_of(ledger) == wanted

    await until(is_so)


async def until_counted(comparator: Comparator, name: str, at_least: int) -> None:
    async def is_so() -> bool:
        return comparator.counts()[name] >= at_least

    await until(is_so)


async def test_records_become_comparisons(broker: MemoryBroker) -> None:
    ledger, sink = MemoryLedger(), BrokerRecordSink(broker)
    comparator = a_comparator(broker, ledger)
    await comparator.start()
    for record in [*a_whole("same"), *a_whole("differs", shadow=2), a_record("waits"), an_outcome("waits")]:
        await sink.append([record])
    await until_counts(ledger, {Verdict.EQUAL: 1, Verdict.DIFFERENT_VALUE: 1})
    await comparator.stop()
    depth = await broker.depth(RECORDS_QUEUE)
    assert depth is not None
    assert (depth.ready, depth.consumers) == (0, 0)
    assert comparator.counts()["records_stored"] == 8
    assert comparator.counts()["pairs_compared"] == 2


async def test_whoever_waits_for_an_outcome_finds_it_in_the_ledger(broker: MemoryBroker) -> None:
    ledger, notices = MemoryLedger(), MemoryNotices()
    comparator = a_comparator(broker, ledger, notices=notices)
    await comparator.start()
    waiting = asyncio.create_task(notices.wait("s1", 10))
    sink = BrokerRecordSink(broker)
    await sink.append([a_record()])
    await sink.append([an_outcome()])
    assert await waiting
    view = await ledger.submission("s1")
    await comparator.stop()
    assert view is not None
    assert view.authority == an_outcome()


async def test_a_comparator_that_was_away_costs_no_pair_its_verdict(broker: MemoryBroker) -> None:
    ledger, sink, back = MemoryLedger(), BrokerRecordSink(broker), NOON + timedelta(minutes=10)
    before = a_comparator(broker, ledger)
    await before.start()
    await sink.append([a_record("begun")])
    await until_counted(before, "records_stored", 1)
    await before.stop()
    await sink.append([*a_whole("beside"), *(an_outcome("begun", role) for role in Role)])
    after = a_comparator(broker, ledger, now=lambda: back, sweep_interval_s=0.5)
    await after.start()
    await until_counts(ledger, {Verdict.EQUAL: 2})
    await after.stop()


async def test_an_outcome_that_does_not_come_is_missing_and_late_when_it_does(broker: MemoryBroker) -> None:
    ledger, sink, clock = MemoryLedger(), BrokerRecordSink(broker), [NOON]
    comparator = a_comparator(broker, ledger, now=lambda: clock[0])
    await comparator.start()
    await sink.append([a_record(), an_outcome()])
    await until_counted(comparator, "records_stored", 2)
    clock[0] = NOON + timedelta(minutes=2)
    await until_counts(ledger, {Verdict.MISSING: 1})
    await sink.append([an_outcome("s1", Role.SHADOW, value="else", started_at=clock[0])])
    await until_counts(ledger, {Verdict.LATE: 1})
    await comparator.stop()
    view = await ledger.submission("s1")
    assert view is not None
    assert view.comparison is not None
    assert (view.comparison.missing, len(view.comparison.differences)) == ("shadow", 1)


async def test_while_the_ledger_is_away_records_wait_and_are_stored_when_it_is_back(broker: MemoryBroker, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db"
    engine = create_ledger_engine(url)
    comparator, sink = a_comparator(broker, SqlLedgerWriter(engine)), BrokerRecordSink(broker)
    await comparator.start()
    for n in range(20):
        await sink.append(a_whole(f"s{n}"))
    await until_counted(comparator, "ledger_retries", 1)
    await upgrade(url)
    await until_counts(SqlLedgerReader(engine), {Verdict.EQUAL: 20})
    await comparator.stop()
    await engine.dispose()


async def test_stopping_while_the_ledger_is_away_puts_the_records_back(broker: MemoryBroker, tmp_path: Path) -> None:
    engine = create_ledger_engine(f"sqlite:///{tmp_path}/ledger.db")
    comparator = a_comparator(broker, SqlLedgerWriter(engine))
    await BrokerRecordSink(broker).append(a_whole("s1"))
    await comparator.start()
    await until_counted(comparator, "ledger_retries", 1)
    await comparator.stop()
    await engine.dispose()
    ledger = MemoryLedger()
    second = a_comparator(broker, ledger)
    await second.start()
    await until_counts(ledger, {Verdict.EQUAL: 1})
    await second.stop()


async def test_pairs_a_crash_left_uncompared_are_compared_by_the_sweep(broker: MemoryBroker) -> None:
    ledger = MemoryLedger()
    await ledger.append(a_whole("s1", shadow=2), arrived_at=NOON)
    comparator = a_comparator(broker, ledger, now=lambda: NOON + timedelta(minutes=2))
    await comparator.start()
    await until_counts(ledger, {Verdict.DIFFERENT_VALUE: 1})
    await comparator.stop()


async def test_a_comparison_that_fails_is_shown_as_cut_short_and_stops_no_other(broker: MemoryBroker) -> None:
    class Breaking(Judge):
        def compare(self, submission: Submission, authority: Outcome, shadow: Outcome) -> Judgement:
            if submission.id == "strange":
                raise RecursionError("private data")
            return super().compare(submission, authority, shadow)

    ledger = MemoryLedger()
    comparator = a_comparator(broker, ledger, judge=Breaking(RuleBook(), Redactor("key")))
    await comparator.start()
    await BrokerRecordSink(broker).append([*a_whole("strange"), *a_whole("ordinary")])
    await until_counts(ledger, {Verdict.DIFFERENT_VALUE: 1, Verdict.EQUAL: 1})
    await comparator.stop()
    (group,) = (await ledger.shadow_report(ReportScope(), now=NOON)).tasks[0].groups
    assert group.kind is DifferenceKind.TRUNCATED
    assert "private data" not in repr(group)


async def test_messages_that_hold_no_records_stop_nothing(broker: MemoryBroker) -> None:
    ledger = MemoryLedger()
    comparator = a_comparator(broker, ledger)
    await comparator.start()
    await broker.publish("", RECORDS_QUEUE, Message(body=b"{"))
    await BrokerRecordSink(broker).append(a_whole("s1"))
    await until_counts(ledger, {Verdict.EQUAL: 1})
    await comparator.stop()


async def test_several_that_compete_count_each_pair_once(broker: MemoryBroker, tmp_path: Path) -> None:
    async with open_engine(f"sqlite:///{tmp_path}/ledger.db") as engine:
        comparators = [a_comparator(broker, SqlLedgerWriter(engine)) for _ in range(3)]
        for comparator in comparators:
            await comparator.start()
        sink = BrokerRecordSink(broker)
        records = [record for n in range(200) for record in 2 * a_whole(f"s{n}", shadow=n % 2)]
        for start in range(100):
            await sink.append(records[start::100])
        await until_counts(SqlLedgerReader(engine), {Verdict.EQUAL: 100, Verdict.DIFFERENT_VALUE: 100})
        for comparator in comparators:
            await comparator.stop()
        assert await counts_of(SqlLedgerReader(engine)) == {Verdict.EQUAL: 100, Verdict.DIFFERENT_VALUE: 100}


PROGRAM = """
import asyncio, sys
from datetime import UTC, datetime
from dualrun.broker.rabbitmq import RabbitBroker
from gateway.comparator import Comparator
from gateway.comparison import Redactor, RuleBook
from gateway.judge import Judge
from gateway.ledger import SqlLedgerWriter, open_engine
from gateway.outcomes.broker import BrokerRecordSource
from gateway.outcomes.notices import MemoryNotices

async def main(amqp_url, ledger_url):
    broker = RabbitBroker(amqp_url)
    await broker.connect()
    async with open_engine(ledger_url) as engine:
        comparator = Comparator(source=BrokerRecordSource(broker, prefetch=20), ledger=SqlLedgerWriter(engine), notices=MemoryNotices(),
            judge=Judge(RuleBook(), Redactor("key")), now=lambda: datetime.now(UTC), deadline_s=2, sweep_interval_s=0.2)
        print("ready", flush=True)
        await comparator.run()

asyncio.run(main(*sys.argv[1:]))
"""


@contextmanager
def a_process(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A comparator in a process of its own, killed at the end."""
    command = [sys.executable, "-c", PROGRAM, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)}) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield process
        finally:
            process.kill()


@pytest.mark.services
@pytest.mark.e2e
async def test_a_comparator_killed_again_and_again_loses_and_doubles_nothing(amqp_url: str, postgres_url: str) -> None:
    broker, pairs = RabbitBroker(amqp_url), 600
    await broker.connect()
    sink, submitted_at = BrokerRecordSink(broker), datetime.now(UTC)
    for n in range(pairs):
        _, *outcomes = a_whole(f"s{n}", shadow=n % 2)
        await sink.append([a_record(f"s{n}", submitted_at=submitted_at), *outcomes])
    async with open_engine(postgres_url) as engine:
        reader = SqlLedgerReader(engine)

        async def compared() -> int:
            return sum((await counts_of(reader)).values())

        for enough in (1, 100, 250, pairs):

            async def is_enough(enough: int = enough) -> bool:
                return await compared() >= enough

            with a_process(amqp_url, postgres_url):
                await until(is_enough)
        task = (await reader.shadow_report(ReportScope(task="shop.charge"), now=NOON)).tasks[0]
    await broker.close()
    assert sum(task.counts.values()) == pairs
    assert Verdict.MISSING not in task.counts
    assert [group.count for group in task.groups] == [pairs // 2]
    assert task.pending == 0

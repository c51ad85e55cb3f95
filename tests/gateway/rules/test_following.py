"""Rules that change under a running comparator."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from dualrun.contracts import Role
from gateway.comparison import Redactor, RuleBook
from gateway.core.comparison import Verdict
from gateway.core.report import ReportScope
from gateway.judge import Judge
from gateway.ledger import MemoryLedger
from gateway.rules.following import RuleFollower
from gateway.usecases.compare_pairs import compare_pairs
from tests.support.records import NOON, a_comparison, a_difference, a_record, an_outcome

RULE = "ignore:\n  - {id: totals, path: /value/total, owner: ann, reason: rounding}\n"


@asynccontextmanager
async def following(directory: Path, ledger: MemoryLedger) -> AsyncIterator[Judge]:
    judge, stopping = Judge(RuleBook(), Redactor("key")), asyncio.Event()
    follower = RuleFollower(directory, judge, ledger, now=lambda: NOON, interval_s=0.01)
    running = asyncio.create_task(follower.run(stopping))
    yield judge
    stopping.set()
    await running


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - nobody tells when the rules change
            await asyncio.sleep(0.01)


async def test_a_new_rule_is_adopted_and_what_is_on_record_judged_again_by_it(tmp_path: Path) -> None:
    ledger = MemoryLedger()
    await ledger.append([a_record(), an_outcome(value={"total": 1}), an_outcome(role=Role.SHADOW, value={"total": 2})], arrived_at=NOON)
    await ledger.store([a_comparison("s1", Verdict.DIFFERENT_VALUE, a_difference())])
    async with following(tmp_path, ledger) as judge:
        (tmp_path / "shop.charge.yaml").write_text(RULE)
        await until(lambda: judge.rules.version != "")
        async with asyncio.timeout(20):
            while (await counts(ledger)) != {Verdict.IGNORED: 1}:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.01)
    in_force = await ledger.rules_in_force()
    assert in_force is not None
    assert in_force.version == judge.rules.version


async def test_what_a_comparator_judged_before_it_heard_of_the_rules_is_judged_again_by_them(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    ledger = MemoryLedger()
    async with following(first, ledger) as quick, following(second, ledger) as slow:
        (first / "shop.charge.yaml").write_text(RULE)
        async with asyncio.timeout(20):
            while not ((in_force := await ledger.rules_in_force()) and in_force.applied and in_force.version == quick.rules.version):  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.01)
        await ledger.append([a_record(), an_outcome(value={"total": 1}), an_outcome(role=Role.SHADOW, value={"total": 2})], arrived_at=NOON)
        await compare_pairs(["s1"], ledger=ledger, compare=slow.compare, now=NOON, deadline_s=300)
        assert await counts(ledger) == {Verdict.DIFFERENT_VALUE: 1}
        (second / "shop.charge.yaml").write_text(RULE)
        async with asyncio.timeout(20):
            while (await counts(ledger)) != {Verdict.IGNORED: 1}:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.01)


async def counts(ledger: MemoryLedger) -> dict[Verdict, int]:
    report = await ledger.shadow_report(ReportScope(task="shop.charge"), now=NOON)
    return dict(report.tasks[0].counts)


async def test_a_broken_file_changes_nothing_and_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "shop.charge.yaml"
    file.write_text(RULE)
    async with following(tmp_path, MemoryLedger()) as judge:
        await until(lambda: judge.rules.version != "")
        version = judge.rules.version
        with caplog.at_level(logging.ERROR):
            file.write_text("ignore: 7\n")
            await until(lambda: "rules_rejected" in caplog.text)
            file.write_text(RULE + "# mended\n")
            await until(lambda: judge.rules.version != version)
    assert caplog.text.count("rules_rejected") == 1

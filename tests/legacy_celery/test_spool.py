"""The spool keeps every outcome until it was delivered, whatever dies in between."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualrun.contracts import Outcome, Role, Side, State
from legacy_celery.outcome_sender import OutcomeSender
from legacy_celery.spool import BATCH_MAX, Segment, Spool

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def an_outcome(name: str, value: object = None) -> Outcome:
    return Outcome(
        submission_id=name,
        task="t",
        side=Side.LEGACY,
        role=Role.AUTHORITY,
        state=State.SUCCEEDED,
        value=value,  # type: ignore[arg-type]  # any JSON
        elapsed_ms=1.0,
        started_at=NOW,
        ended_at=NOW,
        worker="w",
        flag_version=1,
    )


def read(segment: Segment) -> list[Outcome]:
    return [outcome for batch in segment.batches() for outcome in batch]


class Memory:
    """A publisher that keeps what it gets; away until told otherwise."""

    def __init__(self, *, away: bool = False) -> None:
        self.published: list[Outcome] = []
        self.arrived = threading.Condition()
        self.away = away

    def publish(self, outcomes: Sequence[Outcome]) -> None:
        if self.away:
            raise ConnectionError("away")
        with self.arrived:
            self.published.extend(outcomes)
            self.arrived.notify_all()

    def until(self, names: Sequence[str]) -> None:
        with self.arrived:
            assert self.arrived.wait_for(lambda: [o.submission_id for o in self.published] == list(names), 10)

    def abandon(self) -> None:
        pass

    def close(self) -> None:
        pass


@given(st.lists(st.text(max_size=20), max_size=5), st.lists(st.text(max_size=20), min_size=1, max_size=5))
def test_what_was_appended_is_what_is_sealed(tmp_path_factory: pytest.TempPathFactory, first: list[str], second: list[str]) -> None:
    spool = Spool(tmp_path_factory.mktemp("spool"))
    for names in (first, second):
        for name in names:
            spool.append(an_outcome(name, {"text": name}))
        segment = spool.seal()
        assert (segment is None) is (not names)
        if segment is not None:
            assert read(segment) == [an_outcome(name, {"text": name}) for name in names]
            segment.delete()
    assert spool.seal() is None


def test_a_living_owners_segment_is_not_adopted_and_a_dead_ones_is(tmp_path: Path) -> None:
    owner, other = Spool(tmp_path), Spool(tmp_path)
    owner.append(an_outcome("a"))
    assert list(other.adopt()) == []
    owner.abandon()
    (segment,) = other.adopt()
    assert [outcome.submission_id for outcome in read(segment)] == ["a"]
    assert list(owner.adopt()) == [], "one adopter at a time"
    segment.delete()
    assert list(tmp_path.iterdir()) == []


def test_a_torn_line_costs_only_itself(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append(an_outcome("a"))
    (path,) = tmp_path.glob("*.spool")
    with path.open("ab") as file:
        file.write(b'{"record":"outco')
    spool.abandon()
    (segment,) = Spool(tmp_path).adopt()
    assert [outcome.submission_id for outcome in read(segment)] == ["a"]
    segment.close()


def test_threads_never_mix_their_lines(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    names = [f"{thread}-{number}" for thread in range(4) for number in range(100)]

    def append(mine: list[str]) -> None:
        for name in mine:
            spool.append(an_outcome(name, "x" * 5_000))

    threads = [threading.Thread(target=append, args=(names[start : start + 100],)) for start in range(0, 400, 100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    segment = spool.seal()
    assert segment is not None
    assert sorted(outcome.submission_id for outcome in read(segment)) == sorted(names)
    segment.delete()


def test_what_was_delivered_before_an_error_is_not_delivered_again(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    for number in range(BATCH_MAX + 5):
        spool.append(an_outcome(str(number)))
    segment = spool.seal()
    assert segment is not None
    batches = segment.batches()
    assert len(next(batches)) == BATCH_MAX
    next(batches)
    del batches
    assert [outcome.submission_id for outcome in read(segment)] == [str(BATCH_MAX + number) for number in range(5)]
    segment.delete()


def test_outcomes_are_delivered_in_order_and_the_spool_is_empty_afterwards(tmp_path: Path) -> None:
    publisher = Memory()
    sender = OutcomeSender(Spool(tmp_path), publisher)
    names = [str(number) for number in range(50)]
    for name in names:
        sender(an_outcome(name))
    publisher.until(names)
    assert sender.stop()
    assert list(tmp_path.iterdir()) == []


def test_while_the_broker_is_away_outcomes_wait_and_are_the_next_ones_to_send(tmp_path: Path) -> None:
    away = OutcomeSender(Spool(tmp_path), Memory(away=True))
    away(an_outcome("a"))
    away(an_outcome("b"))
    assert not away.stop(0.3)
    assert len(list(tmp_path.iterdir())) == 1


def test_when_the_broker_comes_back_everything_is_delivered(tmp_path: Path) -> None:
    publisher = Memory(away=True)
    sender = OutcomeSender(Spool(tmp_path), publisher)
    sender(an_outcome("a"))
    publisher.away = False
    sender(an_outcome("b"))
    assert sender.stop(10)
    publisher.until(["a", "b"])


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_has_a_spool_of_its_own(tmp_path: Path) -> None:
    publisher = Memory(away=True)
    sender = OutcomeSender(Spool(tmp_path), publisher)
    sender(an_outcome("parent"))
    pid = os.fork()
    if pid == 0:
        try:
            sender(an_outcome("child"))
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    assert {path.name.split("-")[0] for path in tmp_path.iterdir()} == {str(os.getpid()), str(pid)}
    publisher.away = False
    assert sender.stop(10)
    assert {outcome.submission_id for outcome in publisher.published} == {"parent", "child"}

"""When a pair is compared, and that order and repetition change nothing."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dualrun.contracts import Outcome, Record, Role, Submission
from gateway.core.comparison import Comparison, Verdict
from gateway.core.pairing import Judgement, due_time, judge_pair
from gateway.core.ports import Pair
from gateway.ledger import MemoryLedger
from gateway.usecases.compare_pairs import compare_pairs
from gateway.usecases.sweep_overdue import sweep_overdue
from tests.support.records import NOON, a_difference, a_record, an_outcome

DEADLINE_S = 60.0
IN_TIME, ON_TIME, TOO_LATE = (NOON + timedelta(seconds=s) for s in (5, 60, 61))


def by_value(_: Submission, authority: Outcome, shadow: Outcome) -> Judgement:
    if authority.value == shadow.value:
        return Judgement(Verdict.EQUAL, (), "r1")
    return Judgement(Verdict.DIFFERENT_VALUE, (a_difference(authority=authority.value, shadow=shadow.value),), "r1")


def a_pair(
    *, authority: datetime | None = None, shadow: datetime | None = None, eta: datetime | None = None, verdict: Verdict | None = None
) -> Pair:
    arrived = {role: at for role, at in ((Role.AUTHORITY, authority), (Role.SHADOW, shadow)) if at is not None}
    outcomes = {role: an_outcome("s1", role, value=str(role), started_at=at - timedelta(milliseconds=10)) for role, at in arrived.items()}
    return Pair(record=a_record(eta=eta), outcomes=outcomes, arrived_at=arrived, verdict=verdict)


def judge(pair: Pair, now: datetime) -> Comparison | None:
    return judge_pair(pair, now=now, deadline_s=DEADLINE_S, compare=by_value)


@pytest.mark.parametrize(
    ("authority", "shadow", "now", "verdict", "missing"),
    [
        (IN_TIME, IN_TIME, IN_TIME, Verdict.DIFFERENT_VALUE, None),
        (IN_TIME, ON_TIME, TOO_LATE, Verdict.DIFFERENT_VALUE, None),
        (IN_TIME, None, ON_TIME, None, None),
        (None, IN_TIME, ON_TIME, None, None),
        (None, None, ON_TIME, None, None),
        (IN_TIME, None, TOO_LATE, Verdict.MISSING, "shadow"),
        (None, IN_TIME, TOO_LATE, Verdict.MISSING, "authority"),
        (None, None, TOO_LATE, Verdict.MISSING, "both"),
        (TOO_LATE, None, TOO_LATE, Verdict.MISSING, "both"),
        (IN_TIME, TOO_LATE, TOO_LATE, Verdict.LATE, "shadow"),
        (TOO_LATE, IN_TIME, TOO_LATE, Verdict.LATE, "authority"),
        (TOO_LATE, TOO_LATE, TOO_LATE, Verdict.LATE, "both"),
    ],
)
def test_what_is_said_of_a_pair(
    authority: datetime | None, shadow: datetime | None, now: datetime, verdict: Verdict | None, missing: str | None
) -> None:
    comparison = judge(a_pair(authority=authority, shadow=shadow), now)
    assert (comparison and comparison.verdict, comparison and comparison.missing) == (verdict, missing)


def test_late_pairs_are_compared_all_the_same() -> None:
    comparison = judge(a_pair(authority=IN_TIME, shadow=TOO_LATE), TOO_LATE)
    assert comparison is not None
    assert comparison.differences == (a_difference(authority="authority", shadow="shadow"),)


def test_a_pair_stored_as_missing_is_answered_once_it_is_whole() -> None:
    assert judge(a_pair(authority=IN_TIME, verdict=Verdict.MISSING), TOO_LATE) is None
    for shadow, verdict in ((IN_TIME, Verdict.DIFFERENT_VALUE), (TOO_LATE, Verdict.LATE)):
        comparison = judge(a_pair(authority=IN_TIME, shadow=shadow, verdict=Verdict.MISSING), TOO_LATE)
        assert comparison is not None
        assert comparison.verdict is verdict


@pytest.mark.parametrize(
    ("started_s", "ended_s", "verdict"),
    [
        (5, 59, Verdict.DIFFERENT_VALUE),
        (5, 61, Verdict.LATE),
        (-4, 59, Verdict.DIFFERENT_VALUE),
        # Begun long before it was submitted: that worker's clock is behind, and nobody knows when it ended.
        (-60, 10, Verdict.LATE),
    ],
)
def test_what_ended_in_time_is_not_late_because_its_record_waited(started_s: float, ended_s: float, verdict: Verdict) -> None:
    began, ended = NOON + timedelta(seconds=started_s), NOON + timedelta(seconds=ended_s)
    pair = a_pair(authority=IN_TIME, shadow=NOON + timedelta(hours=2))
    held_up = msgspec.structs.replace(pair.outcomes[Role.SHADOW], started_at=began, ended_at=ended)
    comparison = judge(replace(pair, outcomes={**pair.outcomes, Role.SHADOW: held_up}), NOON + timedelta(hours=2))
    assert (comparison and comparison.verdict) is verdict


def test_nothing_is_missing_of_which_the_record_may_still_wait() -> None:
    pair = a_pair(authority=IN_TIME)
    behind = judge_pair(pair, now=TOO_LATE, deadline_s=DEADLINE_S, compare=by_value, known_until=ON_TIME)
    assert behind is None
    caught_up = judge_pair(pair, now=TOO_LATE, deadline_s=DEADLINE_S, compare=by_value, known_until=TOO_LATE)
    assert (caught_up and caught_up.verdict) is Verdict.MISSING


def test_the_deadline_counts_from_the_eta_where_that_is_later() -> None:
    scheduled, past = NOON + timedelta(hours=1), NOON - timedelta(hours=1)
    assert judge(a_pair(authority=IN_TIME, eta=scheduled), scheduled + timedelta(seconds=60)) is None
    assert judge(a_pair(authority=IN_TIME, eta=scheduled), scheduled + timedelta(seconds=61)) is not None
    assert due_time(a_record(eta=past)) == NOON


@pytest.mark.parametrize("eta", [None, NOON + timedelta(hours=1)])
def test_a_shadow_that_starts_later_is_waited_for_as_much_longer(eta: datetime | None) -> None:
    delayed = replace(a_pair(authority=IN_TIME), record=a_record(eta=eta, shadow_delay_s=300))
    due = (eta or NOON) + timedelta(seconds=300)
    assert judge(delayed, due + timedelta(seconds=60)) is None
    missing = judge(delayed, due + timedelta(seconds=61))
    assert (missing and missing.verdict) is Verdict.MISSING


def test_a_delay_without_a_shadow_delays_nothing() -> None:
    assert due_time(a_record(shadow=None, shadow_delay_s=300)) == NOON


def test_a_deadline_beyond_the_calendar_is_never_reached() -> None:
    assert judge(a_pair(eta=datetime.max.replace(tzinfo=UTC)), TOO_LATE) is None


def test_a_comparison_carries_times_and_versions() -> None:
    comparison = judge(a_pair(authority=IN_TIME, shadow=IN_TIME), IN_TIME)
    assert comparison is not None
    assert (comparison.authority_ms, comparison.shadow_ms, comparison.skew_ms) == (10.0, 10.0, 0.0)
    assert (comparison.ruleset_version, comparison.flag_version, comparison.compared_at) == ("r1", 7, IN_TIME)


STEPS: list[Record] = [
    a_record(),
    an_outcome("s1", Role.AUTHORITY, value=1),
    an_outcome("s1", Role.SHADOW, value=2),
]


def ended(record: Record, second: int) -> Record:
    """The outcome of a run that ended as its record arrived."""
    at = NOON + timedelta(seconds=second)
    return msgspec.structs.replace(record, started_at=at, ended_at=at) if isinstance(record, Outcome) else record


async def final_comparison(arrivals: list[tuple[int, Record]], sweeps: set[int]) -> Comparison | None:
    """Records appended and pairs judged second by second, swept now and then and once at the end."""
    ledger = MemoryLedger()
    end = 10 * DEADLINE_S
    for second in sorted({at for at, _ in arrivals} | sweeps | {int(end)}):
        now = NOON + timedelta(seconds=second)
        touched = await ledger.append([record for at, record in arrivals if at == second], arrived_at=now)
        await compare_pairs(touched, ledger=ledger, compare=by_value, now=now, deadline_s=DEADLINE_S)
        if second in sweeps or second == end:
            await sweep_overdue(ledger=ledger, compare=by_value, now=now, deadline_s=DEADLINE_S)
    view = await ledger.submission("s1")
    return None if view is None else view.comparison


@settings(max_examples=300)
@given(
    order=st.permutations([0, 1, 2, 0, 1, 2, 1, 2]),
    seconds=st.lists(st.integers(0, 50), min_size=8, max_size=8),
    sweeps=st.sets(st.integers(0, 500), max_size=5),
)
def test_in_time_no_order_and_no_repetition_changes_the_comparison(order: list[int], seconds: list[int], sweeps: set[int]) -> None:
    arrivals = [(second, STEPS[step]) for second, step in zip(sorted(seconds), order, strict=True)]
    found = asyncio.run(final_comparison(arrivals, sweeps))
    plain = asyncio.run(final_comparison([(0, step) for step in STEPS], set()))
    assert found is not None
    assert plain is not None
    assert replace(found, compared_at=NOON) == replace(plain, compared_at=NOON)


@settings(max_examples=300)
@given(
    first=st.tuples(st.integers(0, 200), st.integers(0, 200)),
    repeats=st.lists(st.tuples(st.integers(0, 300), st.sampled_from(STEPS)), max_size=6),
    sweeps=st.sets(st.integers(0, 500), max_size=5),
)
def test_the_final_comparison_depends_on_first_arrivals_alone(
    first: tuple[int, int], repeats: list[tuple[int, Record]], sweeps: set[int]
) -> None:
    once = [(0, STEPS[0]), (first[0], ended(STEPS[1], first[0])), (first[1], ended(STEPS[2], first[1]))]
    after = [(at + max(first), ended(record, at + max(first))) for at, record in repeats]
    found = asyncio.run(final_comparison(once + after, sweeps))
    plain = asyncio.run(final_comparison(once, set()))
    assert found is not None
    assert plain is not None
    assert replace(found, compared_at=NOON) == replace(plain, compared_at=NOON)
    assert found.verdict is (Verdict.DIFFERENT_VALUE if max(first) <= DEADLINE_S else Verdict.LATE)


@settings(max_examples=200)
@given(arrivals=st.tuples(*[st.integers(0, 500)] * 3), sweeps=st.sets(st.integers(0, 550), max_size=6))
def test_however_long_the_records_of_timely_runs_wait_their_comparison_is_the_same(
    arrivals: tuple[int, int, int], sweeps: set[int]
) -> None:
    found = asyncio.run(final_comparison(list(zip(arrivals, STEPS, strict=True)), sweeps))
    plain = asyncio.run(final_comparison([(0, step) for step in STEPS], set()))
    assert found is not None
    assert plain is not None
    assert replace(found, compared_at=NOON) == replace(plain, compared_at=NOON)


def test_answers_a_shadow_went_without_are_told_of_whole_pairs_only() -> None:
    pair = a_pair(authority=IN_TIME, shadow=TOO_LATE)
    authority, shadow = pair.outcomes[Role.AUTHORITY], pair.outcomes[Role.SHADOW]
    outcomes = {
        Role.AUTHORITY: msgspec.structs.replace(authority, answers_dropped=2),
        Role.SHADOW: msgspec.structs.replace(shadow, calls_unknown=3, calls_unanswered=4),
    }
    whole = judge(replace(pair, outcomes=outcomes), TOO_LATE)
    half = judge(replace(pair, outcomes={Role.AUTHORITY: outcomes[Role.AUTHORITY]}, arrived_at={Role.AUTHORITY: IN_TIME}), TOO_LATE)
    assert whole is not None
    assert half is not None
    assert [(one.answers_dropped, one.calls_unknown, one.calls_unanswered) for one in (whole, half)] == [(2, 3, 4), (0, 0, 0)]

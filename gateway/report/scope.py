"""What a report is of, in words, and its counts broken down."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypeVar

from gateway.core.comparison import Verdict
from gateway.core.evidence import mismatch_bound
from gateway.core.report import ShadowReport
from gateway.core.skew import SkewCount
from gateway.report.words import counted, duration, instant, percent, percent_at_most

__all__ = ["Part", "parts_of", "proven", "scope_in_words", "skew_in_words"]

K = TypeVar("K", int, str)


class Part(NamedTuple):
    """One flag version or cohort of a task."""

    name: str
    compared: str
    match: str
    proven: str


def scope_in_words(report: ShadowReport) -> str:
    """`From ... to ..., whole hours, cohort beta.` All time where nothing narrows it."""
    scope = report.scope
    said = ["All time"] if scope.is_all_time else [f"From {instant(scope.since)} to {instant(scope.until)}, whole hours"]
    if scope.flag_version is not None:
        said.append(f"flag version {scope.flag_version} only")
    if scope.cohort is not None:
        said.append(f"cohort {scope.cohort} only" if scope.cohort else "only what no targeting rule decided")
    if scope.cohort_key is not None:
        said.append(f"cohort key {scope.cohort_key} only, from the raw records there still are")
    if report.pairs_left_out:
        said.append("its latest pairs only: older ones are left out")
    return f"{', '.join(said)}."


def parts_of(counts: Mapping[K, Mapping[Verdict, int]], no_name: str = "no rule") -> tuple[Part, ...]:
    """By flag version or cohort, in their order; an empty name is `no_name`."""
    return tuple(_part(str(name) or no_name, counts[name]) for name in sorted(counts))


def proven(different: int, compared: int) -> str:
    """The bound with its n: `mismatch <= 1.03 % (n = 1,000)`."""
    if not compared:
        return "nothing compared"
    return f"mismatch <= {percent_at_most(mismatch_bound(different, compared))} (n = {counted(compared)})"


def skew_in_words(count: SkewCount) -> str:
    """How far apart: `100 ms to 1 s`."""
    if count.at_most_ms is None:
        return f"more than {duration(count.at_least_ms)}"
    return f"{duration(count.at_least_ms)} to {duration(count.at_most_ms)}" if count.at_least_ms else f"up to {duration(count.at_most_ms)}"


def _part(name: str, counts: Mapping[Verdict, int]) -> Part:
    same, different = _sum(counts, (v for v in Verdict if v.is_same)), _sum(counts, (v for v in Verdict if v.is_different))
    compared = same + different
    return Part(name, counted(compared), percent(same / compared) if compared else "-", proven(different, compared))


def _sum(counts: Mapping[Verdict, int], verdicts: Iterable[Verdict]) -> int:
    return sum(counts.get(verdict, 0) for verdict in verdicts)

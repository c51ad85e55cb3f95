"""What charts are drawn of."""

from __future__ import annotations

from datetime import timedelta

from dualrun.contracts import Side
from gateway.console.charts import Mark, chart_data, dense, sparkline_of
from gateway.core.activity import FINE_S, ActivityPoint, Series
from tests.support.records import NOON


def test_a_step_in_which_nothing_ran_is_a_gap_and_not_a_zero_of_time() -> None:
    busy = ActivityPoint(NOON, {Series.LEGACY: 2, Series.EVENTS_SHADOW: 1, Series.SAME: 3, Series.DIFFERENT: 1}, {Series.LEGACY: 30.0})
    steps = dense([busy], since=NOON - timedelta(minutes=5), until=NOON + timedelta(minutes=4), step_s=FINE_S)
    data = chart_data(steps, [Mark(NOON, 7, "mode legacy → shadow")], FINE_S)
    assert data["at"] == [int(NOON.timestamp()) - 300, int(NOON.timestamp())]
    assert (data["match"], data["legacy_ms"], data["events_ms"]) == ([None, 75.0], [None, 15.0], [None, 0.0])
    assert (data["legacy"], data["events"], data["shadow"]) == ([0, 2], [0, 0], [0, 1])
    assert data["marks"] == [{"at": int(NOON.timestamp()), "version": 7, "text": "mode legacy → shadow"}]
    assert steps[0].mean_ms(Side.LEGACY) is None


def test_a_sparkline_breaks_at_gaps_and_shows_a_step_alone() -> None:
    line = sparkline_of([1.0, 2.0, None, 4.0])
    assert line.pieces == ("0.0,14.5 33.3,10.0", "100.0,1.0 96.0,1.0")
    assert (line.last, line.most) == (4.0, 4.0)
    assert sparkline_of([]).pieces == ()
    assert sparkline_of([0.0, 0.0]).pieces == ("0.0,19.0 100.0,19.0",)

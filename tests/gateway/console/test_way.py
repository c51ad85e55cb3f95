"""The way of a task, step by step."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dualrun.contracts import Mode, Safety
from gateway.console.way import Place, way_of
from gateway.core.flags import Flag
from gateway.core.stages import step_of

flags = st.builds(
    Flag,
    task=st.just("t"),
    mode=st.sampled_from(Mode),
    events_share=st.integers(0, 100_000),
    shadow_share=st.integers(0, 100_000),
    safety=st.sampled_from(Safety),
)


@given(flags)
def test_a_task_stands_on_one_step_with_what_is_passed_before_it(flag: Flag) -> None:
    way = way_of(flag)
    places = [station.place for station in way]
    present = places.index(Place.PRESENT)
    assert way[present].step == step_of(flag)
    assert places == [Place.PASSED] * present + [Place.PRESENT] + [Place.AHEAD] * (len(way) - present - 1)
    assert way[0].step.mode is Mode.LEGACY

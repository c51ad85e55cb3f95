"""Two lists beside each other."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dualrun.contracts import Effect, SpanRecord
from gateway.console.alignment import aligned_effects, aligned_spans

effects = st.lists(st.builds(Effect, kind=st.sampled_from(["http", "sql"]), key=st.sampled_from("abc")), max_size=8)
spans = st.lists(
    st.builds(
        SpanRecord,
        name=st.sampled_from("abc"),
        span_id=st.sampled_from("12345678"),
        parent_id=st.none() | st.sampled_from("12345678"),
        offset_ms=st.floats(0, 100),
        duration_ms=st.floats(0, 100),
    ),
    max_size=8,
    unique_by=lambda span: span.span_id,
)


@given(effects, effects)
def test_every_effect_stands_once_and_in_its_sides_order(authority: list[Effect], shadow: list[Effect]) -> None:
    lines = aligned_effects(authority, shadow)
    assert [line.authority for line in lines if line.authority] == authority
    assert [line.shadow for line in lines if line.shadow] == shadow
    assert all(
        (line.authority.kind, line.authority.key) == (line.shadow.kind, line.shadow.key) for line in lines if line.authority and line.shadow
    )


@given(effects)
def test_the_same_effects_have_no_one_sided_line(same: list[Effect]) -> None:
    assert not any(line.one_sided for line in aligned_effects(same, same))


def test_bars_are_on_one_scale_and_children_follow_their_parents() -> None:
    def tree(child_ms: float) -> list[SpanRecord]:
        return [
            SpanRecord(name="late", span_id="3", parent_id="1", offset_ms=60, duration_ms=child_ms),
            SpanRecord(name="call", span_id="2", parent_id="1", offset_ms=10, duration_ms=10),
            SpanRecord(name="execute", span_id="1", parent_id="elsewhere", duration_ms=100),
        ]

    lines = aligned_spans(tree(40), tree(140))
    assert [(line.authority.span.name, line.authority.depth) for line in lines if line.authority] == [
        ("execute", 0),
        ("call", 1),
        ("late", 1),
    ]
    first = lines[0]
    assert first.authority is not None
    assert first.authority.width_percent == 50.0


@given(spans, spans)
def test_spans_that_name_one_another_as_parents_never_hang_it(authority: list[SpanRecord], shadow: list[SpanRecord]) -> None:
    for line in aligned_spans(authority, shadow):
        for bar in (line.authority, line.shadow):
            assert bar is None or 0 <= bar.start_percent + bar.width_percent <= 100.001

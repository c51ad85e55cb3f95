"""Counting different keys in a bounded space."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.sketch import KEPT, Sketch

_keys = st.lists(st.text(max_size=5), max_size=60)


@given(_keys, _keys)
def test_order_and_repeats_do_not_matter(one: list[str], other: list[str]) -> None:
    together = Sketch().with_keys(one).with_keys(other)
    assert together == Sketch().with_keys([*reversed(other), *one, *one])
    assert together.count() == len({*one, *other})
    assert Sketch.from_text(together.to_text()) == together


def test_many_keys_are_counted_about_right_in_the_same_space() -> None:
    sketch = Sketch()
    for start in range(0, 100_000, 5_000):
        sketch = sketch.with_keys(f"tenant-{n}" for n in range(start, start + 5_000))
    assert 70_000 < sketch.count() < 130_000
    assert len(sketch.to_text()) <= KEPT * 8 * 2

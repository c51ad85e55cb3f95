from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.catalogue import nearest

NAMES = ["auth.send_verification_email", "cart.add", "order.send_order_confirmation", "shop.tasks.order.refund"]


def test_a_misspelled_name_finds_the_right_one() -> None:
    assert nearest("order.send_order_confirmaton", NAMES)[0] == "order.send_order_confirmation"


def test_case_does_not_matter() -> None:
    assert nearest("Cart.Add", NAMES) == ["cart.add"]


def test_the_same_task_under_another_prefix_is_found() -> None:
    assert nearest("refund", NAMES) == ["shop.tasks.order.refund"]


def test_nothing_alike_gives_nothing() -> None:
    assert nearest("zzz", NAMES) == []


@settings(max_examples=100)
@given(st.text(max_size=20), st.lists(st.text(max_size=20), max_size=10), st.integers(1, 4))
def test_every_suggestion_is_a_known_name_and_none_comes_twice(name: str, names: list[str], limit: int) -> None:
    found = nearest(name, names, limit)
    assert len(found) <= limit
    assert set(found) <= set(names)
    assert len(set(found)) == len(found)

"""Two values beside each other."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.console.side_by_side import side_by_side

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


def rows(one: object, other: object, *judged: str) -> list[tuple[str, str, bool, bool]]:
    compared = side_by_side(one, other, at="/value", is_judged=lambda path: path in judged)  # type: ignore[arg-type]  # JSON
    return [(_text(line.authority), _text(line.shadow), line.changed, line.judged) for line in compared.lines]


def _text(pieces: tuple[tuple[str, bool], ...]) -> str:
    return "".join(f"[{text}]" if changed else text for text, changed in pieces)


def test_only_what_changed_inside_a_line_is_marked() -> None:
    assert rows({"id": "a1", "total": 19.90}, {"id": "b2", "total": 19.89}, "/value/total") == [
        ("{", "{", False, False),
        ('  "id": "[a1]",', '  "id": "[b2]",', True, False),
        ('  "total": [19.9]', '  "total": [19.89]', True, True),
        ("}", "}", False, False),
    ]


def test_what_one_side_lacks_stands_alone_in_its_line() -> None:
    told = rows({"items": [{"sku": "a"}, {"sku": "b"}]}, {"items": [{"sku": "b"}]}, "/value/items/[*]/sku")
    assert ('[      "sku": "a"]', "", True, True) in told
    assert ('      "sku": "b"', '      "sku": "b"', False, False) in told


def test_keys_that_are_data_are_no_part_of_a_path() -> None:
    told = rows(
        {"by_id": {"0196a3c2-0000-7000-8000-000000000001": 1}}, {"by_id": {"0196a3c2-0000-7000-8000-000000000001": 2}}, "/value/by_id/*"
    )
    assert [judged for _, _, changed, judged in told if changed] == [True]


def test_a_value_of_many_lines_is_cut_and_says_so() -> None:
    compared = side_by_side(list(range(1_000)), list(range(1_000)), at="/value", is_judged=lambda _: False)
    assert (len(compared.lines), compared.left_out) == (400, 2 * 602)


@given(JSON, JSON)
def test_both_sides_read_whole_from_top_to_bottom(one: object, other: object) -> None:
    def read(value: object) -> list[str]:
        compared = side_by_side(value, value, at="/value", is_judged=lambda _: False)  # type: ignore[arg-type]  # JSON
        assert not compared.changed
        return ["".join(text for text, _ in line.authority) for line in compared.lines]

    compared = side_by_side(one, other, at="/value", is_judged=lambda _: True)  # type: ignore[arg-type]  # JSON
    assert ["".join(text for text, _ in line.authority) for line in compared.lines if line.authority] == read(one)
    assert ["".join(text for text, _ in line.shadow) for line in compared.lines if line.shadow] == read(other)

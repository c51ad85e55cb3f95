"""What a statement writes is the same effect however it is spelt."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dualrun.effects.capture.sql_statement import Parameters, parse, writes_of


def _effects(sql: str, parameters: Parameters, rows: int = 1) -> list[tuple[str, object]]:
    return [(write.key, dict(write.payload)) for write in writes_of(parse(sql), parameters, rows)]


UPDATED = [("UPDATE orders id=7", {"set": {"status": "paid", "total": 5}, "rows": 1})]


@pytest.mark.parametrize(
    ("sql", "parameters"),
    [
        ("UPDATE orders SET status='paid', total=5 WHERE id=7", ()),
        ("update Orders set status = ?, total = ? where id = ?", ("paid", 5, 7)),
        ('UPDATE "orders" SET "status" = %s, "total" = %s WHERE "orders"."id" = %s', ("paid", 5, 7)),
        ("UPDATE public.orders SET status=$1::VARCHAR, total=$2::INTEGER WHERE orders.id = $3::INTEGER", ("paid", 5, 7)),
        ("UPDATE orders SET status=%(s)s, total=%(t)s WHERE orders.id = %(i)s", {"s": "paid", "t": 5, "i": 7}),
        ("/* web */ UPDATE orders SET status=:s, total=:t -- pay\n WHERE id=:i RETURNING id;", {"s": "paid", "t": 5, "i": 7}),
    ],
)
def test_the_same_update_is_the_same_effect(sql: str, parameters: Parameters) -> None:
    assert _effects(sql, parameters) == UPDATED


def test_every_row_of_an_insert_is_an_effect_of_its_own() -> None:
    many = _effects("INSERT INTO orders (id, status, note) VALUES (?, ?, NULL), (?, 'it''s', ?)", (1, "new", 2, "x"), 2)
    assert many == [
        ("INSERT orders id=1", {"set": {"id": 1, "status": "new"}, "rows": 1}),
        ("INSERT orders id=2", {"set": {"id": 2, "status": "it's", "note": "x"}, "rows": 1}),
    ]


@pytest.mark.parametrize(
    ("sql", "key", "where"),
    [
        ("DELETE FROM shop.orders WHERE id = 7", "DELETE shop.orders id=7", None),
        ("DELETE FROM orders WHERE id = 7 OR id = 8", "DELETE orders", "id = 7 or id = 8"),
        ("DELETE FROM orders WHERE total > 3 AND id = 7", "DELETE orders id=7", "total > 3"),
        ("WITH gone AS (SELECT 1) DELETE FROM orders WHERE id=7", "DELETE orders id=7", None),
    ],
)
def test_a_delete_names_its_row_where_the_statement_does(sql: str, key: str, where: str | None) -> None:
    [(found, payload)] = _effects(sql, ())
    assert found == key
    assert isinstance(payload, dict)
    assert payload.get("where") == where


@pytest.mark.parametrize("sql", ["SELECT 1", "", "-- nothing", "PRAGMA user_version", "WITH a AS (SELECT 1) SELECT * FROM a", "BEGIN"])
def test_what_only_reads_is_no_write(sql: str) -> None:
    assert not parse(sql).writes


@pytest.mark.parametrize("sql", ["WITH a AS (DELETE FROM t RETURNING id) SELECT * FROM a", "SELECT * INTO copy FROM t", "DROP TABLE t"])
def test_a_write_in_disguise_is_a_write(sql: str) -> None:
    assert parse(sql).writes


@settings(max_examples=300)
@given(
    st.lists(
        st.sampled_from(
            ["INSERT", "UPDATE", "WITH", "t", "(", ")", "SET", "VALUES", ",", "=", "?", "'", '"', "WHERE", "$1", "a.b", "--", ";"]
        )
    )
)
def test_no_text_is_too_odd_to_read(words: list[str]) -> None:
    statement = parse(" ".join(words))
    assert isinstance(writes_of(statement, (1,), 0), list)

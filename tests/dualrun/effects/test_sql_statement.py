"""What a statement writes is the same effect however it is spelt."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from dualrun.effects.capture.sql_statement import parse
from dualrun.effects.capture.sql_write import Parameters, writes_of


def _effects(sql: str, parameters: Parameters, rows: int = 1) -> list[tuple[str, object]]:
    return [(write.key, dict(write.payload)) for write in writes_of(parse(sql), parameters, rows)]


UPDATED = [("UPDATE orders id=7", {"set": {"status": "paid", "total": 5}})]


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


@pytest.mark.parametrize(
    ("sql", "parameters"),
    [
        ("INSERT INTO orders (id, meta) VALUES (1, '{\"a\": 1}'), (2, NULL)", ()),
        (
            """INSERT INTO orders (id, meta) SELECT p0::INTEGER, p1::JSONB FROM (VALUES (%(a)s, %(b)s, 0), (%(c)s, %(d)s, 1))
            AS imp_sen(p0, p1, sen_counter) ORDER BY sen_counter RETURNING orders.id""",
            {"a": 1, "b": Jsonb({"a": 1}), "c": 2, "d": None},
        ),
        (
            'INSERT INTO "orders" ("id", "meta") SELECT * FROM UNNEST((%s)::integer[], (%s)::jsonb[]) RETURNING "orders"."id"',
            ([1, 2], [{"a": 1}, None]),
        ),
    ],
)
def test_the_orms_ways_to_insert_many_rows_are_read(sql: str, parameters: Parameters) -> None:
    assert _effects(sql, parameters) == [
        ("INSERT orders id=1", {"set": {"id": 1, "meta": {"a": 1}}}),
        ("INSERT orders id=2", {"set": {"id": 2}}),
    ]


@pytest.mark.parametrize(
    ("sql", "parameters"),
    [
        ("UPDATE cart SET qty = qty - 1 WHERE id = 3 AND status IN ('a', 'b')", ()),
        ('UPDATE "cart" SET "qty" = ("cart"."qty" - %s) WHERE ("cart"."id" = %s AND "cart"."status" IN (%s, %s))', (1, 3, "a", "b")),
        ("UPDATE cart SET qty=(cart.qty - $1::INTEGER) WHERE cart.status IN ($2::VARCHAR, $3) AND cart.id IN ($4)", (1, "a", "b", 3)),
    ],
)
def test_expressions_and_conditions_read_the_same_however_they_are_spelt(sql: str, parameters: Parameters) -> None:
    assert _effects(sql, parameters) == [("UPDATE cart id=3", {"set": {"qty": {"sql": "qty - 1"}}, "where": "status in ( 'a' , 'b' )"})]


def test_every_row_of_an_insert_is_an_effect_of_its_own() -> None:
    many = _effects("INSERT INTO orders (id, status, note) VALUES (?, ?, NULL), (?, 'it''s', ?)", (1, "new", 2, "x"), 2)
    assert many == [
        ("INSERT orders id=1", {"set": {"id": 1, "status": "new"}}),
        ("INSERT orders id=2", {"set": {"id": 2, "status": "it's", "note": "x"}}),
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


@settings(max_examples=300, deadline=None)
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


@pytest.mark.parametrize(
    ("sql", "payload"),
    [
        ("UPDATE t SET (a, b) = (1, 2) WHERE id = 1", {"set": {"a": 1, "b": 2}}),
        ("UPDATE t SET (a, b) = ROW (1, 2), c = 3 WHERE id = 1", {"set": {"a": 1, "b": 2, "c": 3}}),
        ("UPDATE t SET (a, b) = (SELECT 1, 2) WHERE id = 1", {"set": {"(a, b)": {"sql": "( select 1 , 2 )"}}}),
        ("UPDATE t SET tags[1] = 5 WHERE id = 1", {"set": {"tags[1]": 5}}),
        ("UPDATE t SET data['k'] = '5', a = 1 WHERE id = 1", {"set": {"data['k']": "5", "a": 1}}),
        ("UPDATE t SET tags = ARRAY[1, 2], a = 1 WHERE id = 1", {"set": {"tags": {"sql": "array [ 1 , 2 ]"}, "a": 1}}),
    ],
)
def test_whatever_an_update_sets_is_in_its_effect(sql: str, payload: object) -> None:
    assert _effects(sql, ()) == [("UPDATE t id=1", payload)]


@pytest.mark.parametrize(
    ("sql", "payload"),
    [
        ("INSERT INTO t VALUES (1, 'a')", {"values": (1, "a")}),
        ("INSERT INTO t (n) VALUES (1) ON CONFLICT (n) DO NOTHING", {"set": {"n": 1}, "on_conflict": "nothing"}),
        ("INSERT OR IGNORE INTO t (n) VALUES (1)", {"set": {"n": 1}, "on_conflict": "nothing"}),
        (
            'INSERT INTO "t" ("n") VALUES (1) ON CONFLICT ("n") DO UPDATE SET "n" = EXCLUDED."n", m = 2 WHERE t.n > 3 RETURNING id',
            {"set": {"n": 1}, "on_conflict": {"set": {"n": {"sql": "excluded . n"}, "m": 2}, "where": "n > 3"}},
        ),
        ("INSERT INTO t AS x (n) VALUES (1)", {"set": {"n": 1}}),
        ("INSERT INTO t (n) SELECT a FROM u RETURNING id", {"columns": ("n",), "where": "select a from u"}),
    ],
)
def test_what_an_insert_writes_and_what_it_does_with_a_row_that_is_there_is_in_its_effect(sql: str, payload: object) -> None:
    assert _effects(sql, ()) == [("INSERT t", payload)]


@pytest.mark.parametrize(
    ("sql", "keys"),
    [
        ("WITH m AS (DELETE FROM a WHERE x = 1 RETURNING *) INSERT INTO b (n) VALUES (2)", ["DELETE a x=1", "INSERT b"]),
        (
            "WITH m(x) AS (DELETE FROM a WHERE id = 1 RETURNING x), n AS MATERIALIZED (UPDATE b SET c = 1 WHERE id = 2) SELECT * FROM m",
            ["DELETE a id=1", "UPDATE b id=2"],
        ),
        ("WITH RECURSIVE m AS (SELECT 1 UNION SELECT 2) UPDATE b SET c = 1 WHERE id = 2", ["UPDATE b id=2"]),
    ],
)
def test_every_write_of_a_statement_with_several_is_an_effect(sql: str, keys: list[str]) -> None:
    found = _effects(sql, (), rows=1)
    assert [key for key, _ in found] == keys


def test_the_rows_a_select_answers_with_are_not_those_the_write_in_its_with_touched() -> None:
    assert _effects("WITH m AS (DELETE FROM a RETURNING *) SELECT count(*) FROM m", (), rows=7) == [("DELETE a", {})]

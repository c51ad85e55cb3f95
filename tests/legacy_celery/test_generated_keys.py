"""The outcome of a task tells the keys the database gave to its rows, so that its shadow's are known for the same."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from celery import states

from dualrun.contracts import GeneratedKey, Outcome
from dualrun.effects import install
from legacy_celery.run import Runs


def test_a_run_tells_the_keys_the_database_gave(tmp_path: Path) -> None:
    install()
    told: list[Outcome] = []
    runs = Runs(told.append)
    runs.began("1", {"dualrun-submission-id": "s", "task": "orders.open", "id": "1"})
    with contextlib.closing(sqlite3.connect(tmp_path / "shop.sqlite")) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, status TEXT)")
        connection.execute("INSERT INTO orders (id, status) VALUES (41, 'old')")
        key = connection.execute("INSERT INTO orders (status) VALUES ('new')").lastrowid
        connection.commit()
    runs.ended("1", states.SUCCESS, key)
    assert [(one.value, one.generated) for one in told] == [(42, (GeneratedKey(name="orders#1", value="42"),))]

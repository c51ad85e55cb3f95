"""A PostgreSQL database with one table."""

from __future__ import annotations

from urllib.parse import urlsplit

import psycopg
import pytest


@pytest.fixture(scope="module")
def database(postgres_url: str) -> str:
    """A plain URL of a database with one table."""
    url = urlsplit(postgres_url)._replace(scheme="postgresql").geturl()
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE orders (id SERIAL PRIMARY KEY, status TEXT NOT NULL, note TEXT)")
    return url


@pytest.fixture
def url(database: str) -> str:
    with psycopg.connect(database) as connection:
        connection.execute("TRUNCATE orders")
        connection.execute("INSERT INTO orders VALUES (1, 'new', NULL)")
    return database

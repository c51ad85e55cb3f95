"""Alembic's environment: it works on the connection, and inside the transaction, it is given."""

from __future__ import annotations

from alembic import context

from gateway.ledger.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table="ledger_version",
    render_as_batch=True,
)
context.run_migrations()

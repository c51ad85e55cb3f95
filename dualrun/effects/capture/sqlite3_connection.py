"""sqlite3: writes noted when they are committed; a shadow's stay in one transaction, which is rolled back when it ends.

Within that transaction a savepoint stands for the last commit, so that the shadow may commit, roll back and read its own writes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache, partial, wraps
from types import ModuleType
from typing import Any, cast

from dualrun.effects.capture.sql_statement import Parameters, Statement, parse
from dualrun.effects.capture.sql_transaction import SqlTransaction
from dualrun.effects.execution import Execution, current_execution
from dualrun.errors import ShadowRefused

__all__ = ["patch"]

_FACTORY_AT = 5
_COMMITTED = "dualrun_committed"
_CHANGES_ROWS = frozenset({"INSERT", "REPLACE", "UPDATE", "DELETE"})
_NEVER_IN_SHADOW = frozenset({"ATTACH", "DETACH", "VACUUM"})
# Those of one connection alone; `PRAGMA name = value` of any other is answered in a shadow as `PRAGMA name`.
_OWN_PRAGMAS = ("foreign_keys", "busy_timeout", "cache_size", "temp_store", "synchronous", "case_sensitive_like", "recursive_triggers")


class CapturedCursor(sqlite3.Cursor):
    """A cursor that asks its connection before every statement."""

    def execute(self, sql: str, parameters: Any = (), /) -> CapturedCursor:  # noqa: ANN401 - as in sqlite3
        _connection(self).dualrun_run(self, sql, [parameters], lambda text: super(CapturedCursor, self).execute(text, parameters))
        return self

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> CapturedCursor:
        rows = list(parameters)
        _connection(self).dualrun_run(self, sql, rows, lambda text: super(CapturedCursor, self).executemany(text, rows))
        return self

    def executescript(self, sql_script: str, /) -> sqlite3.Cursor:
        if current_execution() is None:
            return super().executescript(sql_script)
        connection = _connection(self)
        connection.commit()
        with connection.dualrun_autocommit():
            for statement in _statements(sql_script):
                self.execute(statement)
        return self


class _Autocommit:
    """For a script, whose statements are not put into a transaction."""

    def __init__(self, connection: CapturedConnection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._level = self._connection.isolation_level
        self._connection.isolation_level = None

    def __exit__(self, *exc: object) -> None:
        self._connection.isolation_level = self._level


class CapturedConnection(sqlite3.Connection):
    """A connection whose writes are noted, and held back in a shadow."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as in sqlite3
        self._dualrun_held_by: Execution | None = None
        self._dualrun_begun = False
        self._dualrun_by_savepoint = False
        self._dualrun_level: str | None = None
        self._dualrun_transaction = SqlTransaction()
        self.dualrun_undo_by: Callable[[Callable[[], None]], None] | None = None
        """Has the undoing done in the connection's own thread; None where it may be done anywhere."""
        super().__init__(*args, **kwargs)

    def __setattr__(self, name: str, value: object) -> None:
        if name == "isolation_level" and self._dualrun_held():
            # sqlite3 commits when it is set to None.
            self._dualrun_level = cast("str | None", value)
            return
        if name == "autocommit" and self._dualrun_held():
            raise ShadowRefused("a shadow may not set `autocommit` of a connection it has used: that commits")
        super().__setattr__(name, value)

    def cursor(self, factory: Any = sqlite3.Cursor) -> Any:  # noqa: ANN401 - as in sqlite3
        if not isinstance(factory, type):
            if self._dualrun_shadow() is not None:
                raise ShadowRefused("a shadow may not use a cursor factory that is no class: its writes cannot be seen")
            return super().cursor(factory)
        return super().cursor(_captured_class(factory))

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:  # noqa: ANN401 - as in sqlite3
        return cast("sqlite3.Cursor", self.cursor().execute(sql, parameters))

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        return cast("sqlite3.Cursor", self.cursor().executemany(sql, parameters))

    def executescript(self, sql_script: str, /) -> sqlite3.Cursor:
        return cast("sqlite3.Cursor", self.cursor().executescript(sql_script))

    def commit(self) -> None:
        if self._dualrun_shadow() is None:
            super().commit()
            self._dualrun_transaction.committed()
        elif self._dualrun_held():
            self._dualrun_commit()

    def rollback(self) -> None:
        if self._dualrun_shadow() is None:
            super().rollback()
        elif self._dualrun_held():
            self._dualrun_raw(f"ROLLBACK TO {_COMMITTED}")
            self._dualrun_begun = False
        self._dualrun_transaction.rolled_back()

    def __exit__(self, kind: Any, error: Any, trace: Any, /) -> Any:  # noqa: ANN401 - as in sqlite3
        if kind is None:
            self.commit()
        else:
            self.rollback()
        return False

    def backup(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as in sqlite3
        if self._dualrun_shadow() is not None:
            raise ShadowRefused("a shadow may not back up a SQLite database: the copy cannot be undone")
        super().backup(*args, **kwargs)

    def blobopen(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as in sqlite3
        if self._dualrun_shadow() is not None and not kwargs.get("readonly"):
            raise ShadowRefused("a shadow may open blobs with readonly=True only")
        return super().blobopen(*args, **kwargs)

    def dualrun_autocommit(self) -> _Autocommit:
        return _Autocommit(self)

    def dualrun_run(self, cursor: sqlite3.Cursor, sql: str, rows: Sequence[Any], execute: Callable[[str], object]) -> None:
        """Run one statement for whoever is running: as it is outside of executions, noted inside, held back in a shadow."""
        run = current_execution()
        self._dualrun_undo_stale(run)
        if run is None:
            execute(sql)
            return
        statement = parse(sql)
        if not run.shadow:
            execute(sql)
            self._dualrun_note(run, statement, rows, cursor.rowcount)
            if not self.in_transaction:
                self._dualrun_transaction.rolled_back() if statement.verb == "ROLLBACK" else self._dualrun_transaction.committed()
            return
        self._dualrun_run_in_shadow(run, cursor, sql, statement, rows, execute)

    def _dualrun_run_in_shadow(
        self, run: Execution, cursor: sqlite3.Cursor, sql: str, statement: Statement, rows: Sequence[Any], execute: Callable[[str], object]
    ) -> None:
        if statement.verb in _NEVER_IN_SHADOW:
            raise ShadowRefused(f"a shadow may not run {statement.verb}: it cannot be rolled back")
        if statement.verb == "PRAGMA":
            execute(_harmless_pragma(sql))
            return
        self._dualrun_hold(run)
        if not self._dualrun_begun and self._dualrun_begins(statement):
            self._dualrun_commit()
            self._dualrun_begun = True
            self._dualrun_by_savepoint = statement.verb == "SAVEPOINT"
        if statement.verb == "BEGIN":
            return
        if statement.verb == "COMMIT":
            self.commit()
        elif statement.verb == "ROLLBACK" and statement.savepoint is None:
            self.rollback()
        else:
            execute(sql)
            self._dualrun_note(run, statement, rows, cursor.rowcount)
            if not self._dualrun_begun:
                self._dualrun_transaction.committed()
            elif statement.verb == "RELEASE" and self._dualrun_by_savepoint and not self._dualrun_transaction.nested:
                self._dualrun_commit()

    def _dualrun_begins(self, statement: Statement) -> bool:
        """True where a transaction begins, by word or, unless `isolation_level` is None, before the first change."""
        return statement.verb in {"BEGIN", "SAVEPOINT"} or (self._dualrun_level is not None and statement.verb in _CHANGES_ROWS)

    def _dualrun_note(self, run: Execution, statement: Statement, rows: Sequence[Any], touched: int) -> None:
        transaction = self._dualrun_transaction
        if statement.writes:
            for parameters in rows:
                transaction.wrote(run, statement, _plain(parameters), touched if len(rows) == 1 else -1)
        elif statement.savepoint is not None:
            {"SAVEPOINT": transaction.marked, "RELEASE": transaction.released, "ROLLBACK": transaction.rolled_back_to}[statement.verb](
                statement.savepoint
            )

    def _dualrun_hold(self, run: Execution) -> None:
        """Open the shadow's transaction, once."""
        if self._dualrun_held_by is run:
            return
        if run.ended:
            raise ShadowRefused("this shadow has ended: nothing would roll back what it still does")
        if self.in_transaction:
            raise ShadowRefused("a shadow may not use a SQLite connection with a transaction that was begun outside of it")
        self._dualrun_level = self.isolation_level
        self._dualrun_begun = False
        self._dualrun_raw("BEGIN")
        self._dualrun_raw(f"SAVEPOINT {_COMMITTED}")
        self._dualrun_held_by = run
        run.at_end(self._dualrun_undo if self.dualrun_undo_by is None else partial(self.dualrun_undo_by, self._dualrun_undo))

    def _dualrun_commit(self) -> None:
        self._dualrun_raw(f"RELEASE {_COMMITTED}")
        self._dualrun_raw(f"SAVEPOINT {_COMMITTED}")
        self._dualrun_begun = False
        self._dualrun_transaction.committed()

    def _dualrun_undo_stale(self, run: Execution | None) -> None:
        if self._dualrun_held_by is not None and self._dualrun_held_by is not run:
            self._dualrun_undo()

    def _dualrun_undo(self) -> None:
        """Roll everything of the shadow back. Does nothing the second time, nor after the connection was closed, which rolls back too."""
        if self._dualrun_held_by is None:
            return
        try:
            sqlite3.Connection.rollback(self)
        except sqlite3.ProgrammingError as exc:
            if "closed" not in str(exc):
                raise
        self._dualrun_held_by = None
        self._dualrun_transaction.rolled_back()
        if self._dualrun_level != self.isolation_level:
            self.isolation_level = self._dualrun_level  # type: ignore[assignment]  # one of those sqlite3 takes, or sqlite3 says so

    def _dualrun_held(self) -> bool:
        return self.__dict__.get("_dualrun_held_by") is not None

    def _dualrun_shadow(self) -> Execution | None:
        run = current_execution()
        self._dualrun_undo_stale(run)
        return run if run is not None and run.shadow else None

    def _dualrun_raw(self, sql: str) -> None:
        sqlite3.Connection.cursor(self, sqlite3.Cursor).execute(sql)


def patch(library: ModuleType) -> None:
    """Put the capture into `sqlite3.connect`, which SQLAlchemy, Django and aiosqlite call."""
    import sqlite3.dbapi2

    connect = _connecting(library.connect)
    library.connect = connect  # type: ignore[attr-defined]  # the module of that name
    sqlite3.dbapi2.connect = connect  # type: ignore[assignment]  # takes what it takes


def _connecting(connect: Callable[..., sqlite3.Connection]) -> Callable[..., sqlite3.Connection]:
    @wraps(connect)
    def connecting(*args: Any, **kwargs: Any) -> sqlite3.Connection:  # noqa: ANN401 - as in sqlite3
        # The sixth argument may be given by position.
        if len(args) > _FACTORY_AT:
            args = (*args[:_FACTORY_AT], _captured_class(args[_FACTORY_AT]), *args[_FACTORY_AT + 1 :])
        else:
            kwargs["factory"] = _captured_class(kwargs.get("factory", sqlite3.Connection))
        return connect(*args, **kwargs)

    return connecting


@lru_cache(maxsize=256)
def _captured_class(base: type) -> type:
    """The class with the capture before it in the order of resolution, so that what it calls by super() is captured as well."""
    captured: type = CapturedConnection if issubclass(base, sqlite3.Connection) else CapturedCursor
    if issubclass(base, captured):
        return base
    if base in {sqlite3.Connection, sqlite3.Cursor}:
        return captured
    # The class stays first: its own execute() translates placeholders, and then calls the captured one by super().
    return type(base.__name__, (base, captured), {"__module__": base.__module__})


def _connection(cursor: sqlite3.Cursor) -> CapturedConnection:
    return cast("CapturedConnection", cursor.connection)


def _plain(parameters: object) -> Parameters:
    return parameters if isinstance(parameters, Mapping) else tuple(cast("Iterable[object]", parameters))


def _harmless_pragma(sql: str) -> str:
    name, equals, _ = sql.partition("=")
    own = name.split()[-1].rpartition(".")[2].lower() in _OWN_PRAGMAS
    return name if equals and not own else sql


def _statements(script: str) -> Iterable[str]:
    """The statements of a script: a trigger's body holds semicolons of its own."""
    text = ""
    for piece in script.split(";"):
        text += piece + ";"
        if sqlite3.complete_statement(text):
            if parse(text).verb:
                yield text
            text = ""

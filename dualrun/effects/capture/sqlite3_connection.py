"""sqlite3: connections and cursors whose writes are noted when they are committed, and rolled back when a shadow ends."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial, wraps
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from dualrun.effects.capture.held_connection import HeldConnection, derived_class
from dualrun.effects.capture.sql_session import KEYS_MAX, SQLITE, SqlSession, Step, perform
from dualrun.effects.capture.sql_statement import Statement, parse
from dualrun.effects.capture.sql_write import plain
from dualrun.effects.execution import Execution, current_execution
from dualrun.errors import ShadowRefused

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CapturedConnection", "patch"]

_FACTORY_AT = 5
_CHANGES_ROWS = frozenset({"INSERT", "REPLACE", "UPDATE", "DELETE"})
# Those of one connection alone, which may be set; `PRAGMA name = value` and `PRAGMA name(value)` of others are answered as `PRAGMA name`.
_OWN_PRAGMAS = frozenset(
    {"foreign_keys", "busy_timeout", "cache_size", "temp_store", "synchronous", "case_sensitive_like", "recursive_triggers"}
)
# Those that are told what to look at, and change nothing.
_LOOKING_PRAGMAS = frozenset(
    {"table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo", "foreign_key_list", "foreign_key_check"}
    | {
        "integrity_check",
        "quick_check",
        "collation_list",
        "database_list",
        "function_list",
        "module_list",
        "pragma_list",
        "compile_options",
    }
)
# Those that work without being given anything, whatever they answer.
_WORKING_PRAGMAS = frozenset({"incremental_vacuum", "optimize", "wal_checkpoint"})


class CapturedCursor(sqlite3.Cursor):
    """A cursor that asks its connection before every statement."""

    def execute(self, sql: str, parameters: Any = (), /) -> CapturedCursor:  # noqa: ANN401 - as in sqlite3
        _connection(self).dualrun_run(self, sql, [parameters], lambda text, given: super(CapturedCursor, self).execute(text, *given))
        return self

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> CapturedCursor:
        rows = list(parameters)

        def execute(text: str, given: Sequence[Any]) -> object:
            return super(CapturedCursor, self).executemany(text, rows) if given else super(CapturedCursor, self).execute(text)

        _connection(self).dualrun_run(self, sql, rows, execute)
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


class CapturedConnection(HeldConnection, sqlite3.Connection):
    """A connection whose writes are noted, and held back in a shadow."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as in sqlite3
        self._dualrun_session = SqlSession(SQLITE, self._dualrun_on_held)
        self._dualrun_level: str | None = None
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
        return super().cursor(_captured_class(factory) if self._dualrun_is_class(factory) else factory)

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:  # noqa: ANN401 - as in sqlite3
        return cast("sqlite3.Cursor", self.cursor().execute(sql, parameters))

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        return cast("sqlite3.Cursor", self.cursor().executemany(sql, parameters))

    def executescript(self, sql_script: str, /) -> sqlite3.Cursor:
        return cast("sqlite3.Cursor", self.cursor().executescript(sql_script))

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

    @contextmanager
    def dualrun_autocommit(self) -> Iterator[None]:
        """For a script, whose statements are not put into a transaction."""
        level = self.isolation_level
        self.isolation_level = None
        try:
            yield
        finally:
            self.isolation_level = level

    def dualrun_run(self, cursor: sqlite3.Cursor, sql: str, rows: Sequence[Any], execute: Callable[[str, Sequence[Any]], object]) -> None:
        """Run one statement for whoever is running: as it is outside of executions, noted inside, held back in a shadow.

        `execute` is given the text to run, and its parameters, or none where the text is not the task's.
        """
        run = current_execution()
        self._dualrun_undo_stale(run)
        if run is None:
            execute(sql, rows)
            return
        if run.shadow and parse(sql).verb == "PRAGMA":
            execute(_harmless_pragma(sql), rows)
            return

        def step(step: Step) -> int:
            if step.own:
                return self._dualrun_own(step)
            execute(step.sql, rows if step.sql is sql else ())
            return cursor.rowcount

        steps = self._dualrun_session.execute(
            run,
            sql,
            [plain(parameters) for parameters in rows],
            begins=self._dualrun_begins,
            is_open=self._dualrun_is_open,
            keys=lambda statement: _keys(cursor, statement),
        )
        perform(steps, step)

    def _dualrun_on_held(self, run: Execution) -> None:
        self._dualrun_level = self.isolation_level
        run.at_end(self._dualrun_undo if self.dualrun_undo_by is None else partial(self.dualrun_undo_by, self._dualrun_undo))

    def _dualrun_begins(self, statement: Statement) -> bool:
        """True where a transaction begins, by word or, unless `isolation_level` is None, before the first change."""
        return statement.verb == "SAVEPOINT" or (self._dualrun_level is not None and statement.verb in _CHANGES_ROWS)

    def _dualrun_undo(self) -> None:
        """Roll everything of the shadow back. Does nothing the second time, nor after the connection was closed, which rolls back too."""
        if self._dualrun_session.held_by is None:
            return
        try:
            self._dualrun_perform(self._dualrun_session.undo())
            if self._dualrun_level != self.isolation_level:
                self.isolation_level = self._dualrun_level  # type: ignore[assignment]  # one of those sqlite3 takes, or sqlite3 says so
        except sqlite3.ProgrammingError as exc:
            if "closed" not in str(exc):
                raise
            self._dualrun_session.forget()

    def _dualrun_is_open(self) -> bool:
        return self.in_transaction

    def _dualrun_own(self, step: Step) -> int:
        return sqlite3.Connection.cursor(self, sqlite3.Cursor).execute(step.sql).rowcount


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
    if issubclass(base, sqlite3.Connection):
        return derived_class(base, CapturedConnection, sqlite3.Connection)
    return derived_class(base, CapturedCursor, sqlite3.Cursor)


def _connection(cursor: sqlite3.Cursor) -> CapturedConnection:
    return cast("CapturedConnection", cursor.connection)


def _keys(cursor: sqlite3.Cursor, statement: Statement) -> Sequence[int]:
    """The keys of the rows inserted: SQLite tells the last, and gives those of one statement in sequence.

    With RETURNING it does not count the rows until they are fetched, and where rows may be left out nobody knows which were.
    """
    last, count = cursor.lastrowid, len(statement.rows)
    if not count and (cursor.rowcount == 1 or (statement.rest and statement.rest[0].word == "DEFAULT")):
        count = 1
    if statement.on_conflict or (statement.on_conflict is not None and cursor.rowcount != count):
        return ()
    return range(last - count + 1, last + 1) if last is not None and count <= KEYS_MAX else ()


def _harmless_pragma(sql: str) -> str:
    """The text a shadow may run in its place. Raises `ShadowRefused`."""
    tokens = parse(sql).rest
    at = next((i for i, token in enumerate(tokens) if token.text in {"=", "("}), len(tokens))
    name = tokens[at - 1].name if at else ""
    if not name or name in _WORKING_PRAGMAS:
        raise ShadowRefused(f"a shadow may not run PRAGMA {name}: it cannot be rolled back")
    if at == len(tokens) or name in _OWN_PRAGMAS | _LOOKING_PRAGMAS:
        return sql
    return "PRAGMA " + "".join(token.text for token in tokens[:at])


def _statements(script: str) -> Iterable[str]:
    """The statements of a script: a trigger's body holds semicolons of its own."""
    text = ""
    for piece in script.split(";"):
        text += piece + ";"
        if sqlite3.complete_statement(text):
            if parse(text).verb:
                yield text
            text = ""

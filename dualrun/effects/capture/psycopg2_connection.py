"""psycopg2: its classes are written in C, so connections and cursors of derived classes are given out in their place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache, wraps
from types import ModuleType
from typing import Any, cast

from psycopg2 import extensions

from dualrun.effects.capture.held_connection import HeldConnection, derived_class
from dualrun.effects.capture.sql_session import KEYS_MAX, POSTGRES, SqlSession, Step, perform
from dualrun.effects.capture.sql_write import plain
from dualrun.effects.execution import Execution, current_execution
from dualrun.errors import ShadowRefused

__all__ = ["patch"]


class CapturedCursor(extensions.cursor):
    """A cursor that asks its connection before every statement."""

    def execute(self, query: Any, vars: Any = None) -> None:  # noqa: A002, ANN401 - as in psycopg2
        _connection(self).dualrun_run(
            self, query, [vars], lambda text, own: super(CapturedCursor, self).execute(text, None if own else vars)
        )

    def executemany(self, query: Any, vars_list: Iterable[Any]) -> None:  # noqa: ANN401
        rows = list(vars_list)

        def execute(text: Any, own: bool) -> None:  # noqa: ANN401
            super(CapturedCursor, self).execute(text) if own else super(CapturedCursor, self).executemany(text, rows)

        _connection(self).dualrun_run(self, query, rows, execute)

    def callproc(self, procname: str, *args: Any) -> Any:  # noqa: ANN401
        _connection(self).dualrun_enter()
        return super().callproc(procname, *args)

    def copy_expert(self, sql: Any, file: Any, *args: Any) -> None:  # noqa: ANN401
        _connection(self).dualrun_run(self, sql, [()], lambda text, _: super(CapturedCursor, self).copy_expert(text, file, *args))

    def copy_from(self, file: Any, table: str, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        _connection(self).dualrun_run(
            self, f"COPY {table} FROM STDIN", [()], lambda *_: super(CapturedCursor, self).copy_from(file, table, *args, **kwargs)
        )

    def copy_to(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        _connection(self).dualrun_enter()
        super().copy_to(*args, **kwargs)


class CapturedConnection(HeldConnection, extensions.connection):
    """A connection whose writes are noted, and held back in a shadow.

    While a shadow is held psycopg2 itself is out of autocommit, so that whatever slips past is in a transaction as well.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        self._dualrun_session = SqlSession(POSTGRES, self._dualrun_on_held)
        self._dualrun_autocommit = False
        super().__init__(*args, **kwargs)

    @property
    def autocommit(self) -> bool:
        return self._dualrun_autocommit if self._dualrun_held() else bool(extensions.connection.autocommit.__get__(self))

    @autocommit.setter
    def autocommit(self, value: bool) -> None:
        self._dualrun_undo_stale(current_execution())
        if self._dualrun_held():
            self._dualrun_autocommit = value
        else:
            extensions.connection.autocommit.__set__(self, value)

    def set_isolation_level(self, level: int | None) -> None:
        if self._dualrun_shadow() is None:
            super().set_isolation_level(level)
        elif self._dualrun_held():
            self.rollback()
            self._dualrun_autocommit = level == extensions.ISOLATION_LEVEL_AUTOCOMMIT

    def set_session(self, *args: Any, autocommit: bool | None = None, **kwargs: Any) -> None:  # noqa: ANN401
        if self._dualrun_shadow() is None or not self._dualrun_held():
            super().set_session(*args, **kwargs, **({} if autocommit is None else {"autocommit": autocommit}))
        elif autocommit is not None:
            self._dualrun_autocommit = autocommit

    def cursor(self, name: Any = None, cursor_factory: Any = None, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        factory = cursor_factory or self.cursor_factory or extensions.cursor
        return super().cursor(name, _captured_class(factory) if self._dualrun_is_class(factory) else factory, *args, **kwargs)

    def reset(self) -> None:
        if self._dualrun_shadow() is None:
            super().reset()
        else:
            self.rollback()

    def tpc_begin(self, *args: Any) -> None:  # noqa: ANN401
        if self._dualrun_shadow() is not None:
            raise ShadowRefused("a shadow may not begin a two-phase transaction: once prepared it outlives its connection")
        super().tpc_begin(*args)

    def lobject(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        self.dualrun_enter()
        return super().lobject(*args, **kwargs)

    def get_transaction_status(self) -> int:
        if self._dualrun_held() and not self._dualrun_session.begun:
            return int(extensions.TRANSACTION_STATUS_IDLE)
        return int(super().get_transaction_status())

    def dualrun_enter(self) -> None:
        """Before what has no text to read: a shadow is held, and no other run gets what a shadow left."""
        self._dualrun_perform(self._dualrun_session.enter(current_execution(), self._dualrun_is_open))

    def dualrun_run(self, cursor: Any, query: Any, rows: list[Any], execute: Callable[[Any, bool], object]) -> None:  # noqa: ANN401
        """Run one text; `execute` is given it, and whether it is another than the task's."""
        run = current_execution()
        self._dualrun_undo_stale(run)
        if run is None:
            execute(query, False)
            return
        sql = _text(query, self)

        def step(step: Step) -> int:
            if step.own:
                return self._dualrun_own(step)
            execute(query if step.sql is sql else step.sql, step.sql is not sql)
            return int(cursor.rowcount)

        steps = self._dualrun_session.execute(
            run,
            sql,
            [plain(row) for row in rows],
            begins=lambda _: not self._dualrun_autocommit,
            is_open=self._dualrun_is_open,
            keys=lambda statement: _key_column(cursor, statement.key_at),
        )
        perform(steps, step)

    def _dualrun_on_held(self, run: Execution) -> None:
        run.at_end(self._dualrun_undo)

    def _dualrun_undo(self) -> None:
        if self.closed:
            self._dualrun_session.forget()
        else:
            self._dualrun_perform(self._dualrun_session.undo())

    def _dualrun_is_open(self) -> bool:
        return bool(extensions.connection.get_transaction_status(self) != extensions.TRANSACTION_STATUS_IDLE)

    def _dualrun_own(self, step: Step) -> int:
        if step.sql == "BEGIN":
            # psycopg2 begins by itself with the next statement.
            self._dualrun_autocommit = self.autocommit
            extensions.connection.autocommit.__set__(self, False)
        elif step.sql == "ROLLBACK":
            extensions.connection.rollback(self)
            extensions.connection.autocommit.__set__(self, self._dualrun_autocommit)
        else:
            with extensions.connection.cursor(self) as cursor:
                extensions.cursor.execute(cursor, step.sql)
        return -1


def patch(library: ModuleType) -> None:
    """Put the capture into `psycopg2._connect`, which `connect` looks up at each call: who took `connect` before is captured too."""
    library._connect = _connecting(library._connect)  # type: ignore[attr-defined]  # noqa: SLF001 - the one door there is


def _connecting(connect: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(connect)
    def connecting(dsn: Any, connection_factory: Any = None, **kwargs: Any) -> Any:  # noqa: ANN401 - as in psycopg2
        factory = connection_factory or extensions.connection
        if isinstance(factory, type):
            factory = _captured_class(factory)
        return connect(dsn, connection_factory=factory, **kwargs)

    return connecting


@lru_cache(maxsize=256)
def _captured_class(base: type) -> type:
    if issubclass(base, extensions.connection):
        return derived_class(base, CapturedConnection, extensions.connection)
    return derived_class(base, CapturedCursor, extensions.cursor)


def _connection(cursor: CapturedCursor) -> CapturedConnection:
    return cast("CapturedConnection", cursor.connection)


def _key_column(cursor: Any, at: int | None) -> Sequence[object]:  # noqa: ANN401
    """What RETURNING answered, left for the task to fetch."""
    if at is None or cursor.description is None or cursor.name is not None:
        return ()
    rows = extensions.cursor.fetchmany(cursor, KEYS_MAX)
    cursor.scroll(0, mode="absolute")
    return [(list(row.values()) if isinstance(row, dict) else row)[at] for row in rows]


def _text(query: Any, connection: CapturedConnection) -> str:  # noqa: ANN401
    if isinstance(query, bytes):
        return query.decode("utf-8", "replace")
    return query if isinstance(query, str) else str(query.as_string(connection))

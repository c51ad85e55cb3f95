"""psycopg 3, sync and async: both are driven by the same generators, and that is where the capture sits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Sequence
from functools import wraps
from types import ModuleType
from typing import Any, TypeAlias
from weakref import ref

from dualrun.effects.capture.sql_session import KEYS_MAX, POSTGRES, KeysOf, SqlSession, Step, Steps
from dualrun.effects.capture.sql_statement import Statement, parse
from dualrun.effects.capture.sql_write import plain
from dualrun.effects.execution import Execution, current_execution
from dualrun.errors import ShadowRefused

__all__ = ["patch"]

# psycopg's private generators have no types worth the name: `Any` stays inside of this module.
Generating: TypeAlias = Generator[Any, Any, Any]
Method: TypeAlias = Callable[..., Any]

_IDLE = 0
_LOCK_TIMEOUT_S = 1.0


def patch(_library: ModuleType) -> None:
    """Put the capture into the generators behind every statement, COPY, and beginning and end of a transaction."""
    from psycopg import _connection_base, _connection_info, _cursor_base, _pipeline_base, transaction

    connection, cursor = _connection_base.BaseConnection, _cursor_base.BaseCursor
    _Captured.raw = staticmethod(connection._exec_command)
    _put(connection, "_start_query", _starting)
    _put(connection, "_exec_command", _commanding)
    _put(connection, "_commit_gen", _committing)
    _put(connection, "_rollback_gen", _rolling_back)
    _put(connection, "_check_intrans_gen", _checking)
    _put(connection, "_tpc_begin_gen", _refusing)
    for name in ("_execute_gen", "_start_copy_gen", "_stream_send_gen"):
        _put(cursor, name, _executing)
    for name in ("_executemany_gen_pipeline", "_executemany_gen_no_pipeline"):
        _put(cursor, name, _executing_many)
    _put(transaction.BaseTransaction, "_push_savepoint", _pushing)
    _put(_pipeline_base.BasePipeline, "_exit", _leaving)
    _put_property(connection, "info", _seen_info)
    _put_property(_connection_info.ConnectionInfo, "transaction_status", _seen_status)


def _put(owner: type, name: str, around: Callable[..., Any]) -> None:
    """Have `around(original, self, ...)` called in place of the method."""
    original = getattr(owner, name)

    @wraps(original)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as in psycopg
        return around(original, self, *args, **kwargs)

    setattr(owner, name, method)


def _put_property(owner: type, name: str, around: Callable[[Any, Any], Any]) -> None:
    original = getattr(owner, name).fget
    setattr(owner, name, property(lambda self: around(original, self), doc=original.__doc__))


class _Captured:
    """What is kept of one connection."""

    __slots__ = ("_connection", "performing", "session")

    raw: Method
    """psycopg's own way to send a command."""

    def __init__(self, connection: Any) -> None:  # noqa: ANN401 - of either kind
        self._connection = ref(connection)
        self.session = SqlSession(POSTGRES, self._on_held)
        self.performing = False
        """True while a statement of the task's is with the driver, which asks for a transaction of its own once more."""

    @property
    def idle(self) -> bool:
        """True where the connection looks to its user as if no transaction were open, though a shadow's is."""
        held_by = self.session.held_by
        return held_by is not None and (held_by is not current_execution() or not self.session.begun)

    def is_open(self) -> bool:
        """True inside a transaction, as the server sees it."""
        connection = self._connection()
        return connection is not None and connection.pgconn.transaction_status != _IDLE

    def drive(self, steps: Steps) -> Generating:
        """Run steps of the session's own."""
        yield from _perform(steps, self._own)

    def execute(
        self,
        run: Execution,
        sql: str,
        rows: list[Any],
        task_step: Callable[[str], Generating],
        keys: KeysOf = lambda _: (),
    ) -> Generating:
        """Run a statement of the task's; `task_step` hands a text to the driver and gives the number of rows it touched."""

        def step(step: Step) -> Generating:
            if step.own:
                return (yield from self._own(step))
            self.performing = True
            try:
                return (yield from task_step(step.sql))
            finally:
                self.performing = False

        steps = self.session.execute(run, sql, rows, begins=self._begins, is_open=self.is_open, keys=keys)
        yield from _perform(steps, step)

    def _own(self, step: Step) -> Generating:
        yield from _Captured.raw(self._connection(), step.sql.encode())
        return -1

    def _begins(self, _statement: Statement) -> bool:
        connection = self._connection()
        return connection is not None and not connection._autocommit

    def _on_held(self, run: Execution) -> None:
        connection = self._connection()
        if connection is not None and isinstance(connection.lock, asyncio.Lock):
            run.at_end_await(self._undo_awaited)
        else:
            run.at_end(self._undo)

    def _undo(self) -> None:
        connection = self._connection()
        if connection is None or connection.closed:
            self.session.forget()
        elif connection.lock.acquire(timeout=_LOCK_TIMEOUT_S):
            try:
                connection.wait(self.drive(self.session.undo()))
            finally:
                connection.lock.release()

    async def _undo_awaited(self) -> None:
        connection = self._connection()
        if connection is None or connection.closed:
            self.session.forget()
            return
        async with connection.lock:
            await connection.wait(self.drive(self.session.undo()))


def _perform(steps: Steps, run: Callable[[Step], Generating]) -> Generating:
    """Run the steps with psycopg's generators."""
    try:
        step = next(steps)
        while True:
            try:
                touched = yield from run(step)
            except Exception as exc:  # noqa: BLE001 - the steps decide what becomes of it
                step = steps.throw(exc)
            else:
                step = steps.send(touched)
    except StopIteration:
        return


def _captured(connection: Any) -> _Captured:  # noqa: ANN401 - of either kind
    captured: _Captured | None = connection.__dict__.get("_dualrun")
    if captured is None:
        captured = connection._dualrun = _Captured(connection)
    return captured


def _starting(original: Method, connection: Any) -> Generating:  # noqa: ANN401
    """Before every query, whatever asks for it: in a shadow the connection is held, and in no other run a shadow's stays open."""
    captured, run = _captured(connection), current_execution()
    if run is None and captured.session.untouched:
        yield from original(connection)
        return
    if not captured.performing:
        yield from captured.drive(captured.session.enter(run, captured.is_open))
    if run is None or not run.shadow:
        yield from original(connection)
    elif not connection._autocommit and not captured.performing:
        yield from captured.drive(captured.session.begin())


def _commanding(original: Method, connection: Any, command: Any, **options: Any) -> Generating:  # noqa: ANN401
    """`connection.transaction()`, `commit()` and `rollback()` speak to the server by this."""
    captured, run = _captured(connection), current_execution()
    if run is None and captured.session.untouched:
        return (yield from original(connection, command, **options))
    text = _text(command, connection)
    statement = parse(text)
    if not statement.controls:
        return (yield from original(connection, command, **options))
    if run is None:
        yield from captured.drive(captured.session.enter(None, captured.is_open))
        answer = yield from original(connection, command, **options)
        if not captured.is_open():
            captured.session.settle(statement)
        return answer
    answers: list[Any] = []

    def task_step(sql: str) -> Generating:
        answers.append((yield from original(connection, sql, **options)))
        return -1

    yield from captured.execute(run, text, [()], task_step)
    return answers[-1]


def _committing(original: Method, connection: Any) -> Generating:  # noqa: ANN401
    yield from _ending(original, connection, SqlSession.commit)


def _rolling_back(original: Method, connection: Any) -> Generating:  # noqa: ANN401
    yield from _ending(original, connection, SqlSession.rollback)


def _ending(original: Method, connection: Any, end: Callable[[SqlSession], Steps]) -> Generating:  # noqa: ANN401
    captured, run = _captured(connection), current_execution()
    if captured.session.held_by is not run and captured.session.held_by is not None:
        yield from captured.drive(captured.session.undo())
    if run is None or not run.shadow or connection._num_transactions:
        yield from original(connection)
    elif captured.session.held_by is run:
        yield from captured.drive(end(captured.session))


def _checking(original: Method, connection: Any, attribute: str) -> Generating:  # noqa: ANN401
    """Psycopg refuses to set `autocommit` and its like inside a transaction."""
    if not _captured(connection).idle:
        yield from original(connection, attribute)


def _refusing(original: Method, connection: Any, *args: Any) -> Generating:  # noqa: ANN401
    run = current_execution()
    if run is not None and run.shadow:
        raise ShadowRefused("a shadow may not begin a two-phase transaction: once prepared it outlives its connection")
    yield from original(connection, *args)


def _executing(original: Method, cursor: Any, query: Any, params: Any = None, **options: Any) -> Generating:  # noqa: ANN401
    run = current_execution()
    if run is None:
        yield from original(cursor, query, params, **options)
        return
    text = _text(query, cursor.connection)

    def task_step(sql: str) -> Generating:
        if sql is text:
            yield from original(cursor, query, params, **options)
        else:
            yield from original(cursor, sql, None, **options)
        return cursor.rowcount

    yield from _captured(cursor.connection).execute(
        run, text, [plain(params)], task_step, lambda statement: _key_column(cursor, statement.key_at)
    )


def _key_column(cursor: Any, at: int | None) -> Sequence[object]:  # noqa: ANN401
    """What RETURNING answered, left for the task to fetch."""
    result = cursor.pgresult
    if result is None or at is None or at >= result.nfields:
        return ()
    return [cursor._tx.load_row(row, tuple)[at] for row in range(min(result.ntuples, KEYS_MAX))]


def _executing_many(original: Method, cursor: Any, query: Any, params_seq: Any, returning: bool) -> Generating:  # noqa: ANN401
    run = current_execution()
    if run is None:
        yield from original(cursor, query, params_seq, returning)
        return
    text, rows = _text(query, cursor.connection), list(params_seq)

    def task_step(sql: str) -> Generating:
        yield from original(cursor, query if sql is text else sql, rows if sql is text else [()], returning)
        return -1

    yield from _captured(cursor.connection).execute(run, text, [plain(row) for row in rows], task_step)


def _pushing(original: Method, transaction: Any) -> None:  # noqa: ANN401
    """Entering `connection.transaction()`: the first of a shadow's is no savepoint to it, though one is open on the server."""
    name, idle = transaction._savepoint_name, _captured(transaction._conn).idle
    original(transaction)
    if idle:
        transaction._outer_transaction, transaction._savepoint_name = True, name


def _leaving(original: Method, pipeline: Any, exc: BaseException | None) -> None:  # noqa: ANN401
    """The end of a pipeline, which without a transaction commits what was sent in it."""
    original(pipeline, exc)
    captured = _captured(pipeline._conn)
    if captured.session.held_by is None and pipeline.level == 0 and not captured.is_open():
        captured.session.settle(Statement(verb="ROLLBACK" if exc is not None else "COMMIT"))


def _seen_info(original: Method, connection: Any) -> Any:  # noqa: ANN401
    info = original(connection)
    info._dualrun = _captured(connection)
    return info


def _seen_status(original: Method, info: Any) -> Any:  # noqa: ANN401
    """The status as the task is to see it; psycopg's own code looks at the connection itself."""
    from psycopg.pq import TransactionStatus

    captured: _Captured | None = getattr(info, "_dualrun", None)
    return original(info) if captured is None or not captured.idle else TransactionStatus.IDLE


def _text(query: Any, connection: Any) -> str:  # noqa: ANN401
    if isinstance(query, str):
        return query
    if isinstance(query, bytes):
        return query.decode("utf-8", "replace")
    return str(query.as_string(connection))

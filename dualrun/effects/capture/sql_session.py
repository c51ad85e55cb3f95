"""What one database connection has open, for whoever uses it: decided here, performed by the driver's capture.

In a shadow everything a connection does stays in one transaction. A savepoint in it stands for the last commit, so that the shadow may
commit, roll back and read its own writes; the end of the execution rolls all of it back.

The methods are generators: they yield the SQL to run next, and are sent the number of rows it touched, or thrown its error. So one
set of rules serves drivers that block, that are awaited, and that are generators themselves.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from dualrun.effects.capture.sql_statement import ESCAPED, Statement, statements_of
from dualrun.effects.capture.sql_transaction import SqlTransaction
from dualrun.effects.capture.sql_write import Parameters
from dualrun.effects.execution import Execution
from dualrun.errors import ShadowRefused

__all__ = ["KEYS_MAX", "POSTGRES", "SQLITE", "KeysOf", "SqlDialect", "SqlSession", "Step", "Steps", "perform", "perform_async"]

KEYS_MAX = 1_000
"""Of so many rows inserted by one statement the generated keys are kept."""
_COMMITTED = "dualrun_committed"
_RELEASE, _SAVE, _BACK = f"RELEASE SAVEPOINT {_COMMITTED}", f"SAVEPOINT {_COMMITTED}", f"ROLLBACK TO SAVEPOINT {_COMMITTED}"
_READS = frozenset({"SELECT", "SHOW", "VALUES", "EXPLAIN", "FETCH", ""})


class Step(NamedTuple):
    """One SQL text to run next."""

    sql: str
    own: bool = True
    """False for the task's statement, whose answer the task gets. Its text is another where a shadow's word stands for something else."""


Steps: TypeAlias = Generator[Step, int, None]
KeysOf: TypeAlias = Callable[[Statement], Sequence[object]]
"""After an INSERT, the keys the database gave to its rows, as far as the driver has been told."""


def _no_keys(_: Statement) -> Sequence[object]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlDialect:
    """Where databases differ."""

    name: str
    errors_abort: bool
    """True where an error leaves a transaction in which nothing runs any more until it is rolled back."""
    held: tuple[str, ...] = ()
    """What is said at the start of a shadow's transaction."""
    refused: frozenset[str] = frozenset()
    """The verbs whose work no transaction can undo."""
    refused_functions: frozenset[str] = frozenset()
    """The functions of the database's own that reach past a transaction."""
    deferred: tuple[str, ...] = ()
    """What fires, before a commit, what a database leaves until then, and leaves no trace of its own."""
    waited_in_vain: frozenset[str] = frozenset()
    """The codes of errors that say somebody else, the authority maybe, held a lock for too long."""
    nothing: str = "SELECT 1 WHERE 1 = 0"
    reads_late: bool = False
    """True where a write with RETURNING is under way until its rows have been fetched, and no savepoint can be released before."""


SQLITE = SqlDialect(
    name="SQLite",
    errors_abort=False,
    refused=frozenset({"ATTACH", "DETACH", "VACUUM"}),
    waited_in_vain=frozenset({"SQLITE_BUSY"}),
    reads_late=True,
)
_PAST_TRANSACTIONS = frozenset(
    {"dblink", "dblink_connect", "dblink_connect_u", "dblink_exec", "dblink_open", "dblink_send_query", "lo_export", "lo_import"}
    | {"pg_advisory_lock", "pg_advisory_lock_shared", "pg_try_advisory_lock", "pg_try_advisory_lock_shared"}
    | {"pg_cancel_backend", "pg_terminate_backend", "pg_reload_conf", "pg_rotate_logfile", "pg_promote", "pg_switch_wal"}
    | {"pg_create_logical_replication_slot", "pg_create_physical_replication_slot", "pg_drop_replication_slot"}
    | {"pg_create_restore_point", "pg_file_rename", "pg_file_unlink", "pg_file_write", "pg_logical_emit_message", "setval"}
    | {"pg_stat_reset", "pg_stat_reset_shared", "pg_stat_reset_single_table_counters", "pg_stat_statements_reset"}
)
POSTGRES = SqlDialect(
    name="PostgreSQL",
    errors_abort=True,
    # Below deadlock_timeout (1 s): where a shadow and an authority wait for each other, it is the shadow that gives up.
    refused_functions=_PAST_TRANSACTIONS | {ESCAPED},
    held=("SET LOCAL lock_timeout = '500ms'", "SET LOCAL idle_in_transaction_session_timeout = '60s'"),
    # Rolled back, so that constraints are deferred again, and checked again where rows of other commits change what they say.
    deferred=("SAVEPOINT dualrun_checked", "SET CONSTRAINTS ALL IMMEDIATE", "ROLLBACK TO SAVEPOINT dualrun_checked"),
    waited_in_vain=frozenset({"55P03", "40P01"}),
    nothing="SET LOCAL lock_timeout = '500ms'",
)


@dataclass(frozen=True, slots=True)
class _Call:
    """One text of a task's, with the parameters of each time it is to run, and what it was answered."""

    run: Execution
    sql: str
    statements: Sequence[Statement]
    rows: Sequence[Parameters]
    keys: KeysOf


@dataclass(slots=True)
class SqlSession:
    """The transaction of one connection, as the task sees it."""

    dialect: SqlDialect
    on_held: Callable[[Execution], None]
    """Arranges that the shadow's end undoes what is held from now on."""
    held_by: Execution | None = None
    """The shadow whose transaction is open; None while the connection works as ever."""
    begun: bool = False
    """In a shadow: whether the task is in a transaction of its own."""
    _aborted: bool = False
    _by_savepoint: bool = False
    _owed: bool = False
    """In a shadow: whether the savepoint stands for the commit before the last one still, as rows of that are being fetched."""
    transaction: SqlTransaction = field(default_factory=SqlTransaction)

    @property
    def untouched(self) -> bool:
        """True where no execution has left anything on the connection: outside of one it then is as it would be without the capture."""
        return self.held_by is None and not self.transaction.waiting

    def enter(self, run: Execution | None, is_open: Callable[[], bool]) -> Steps:
        """Before anything is done for `run`: what an earlier shadow left is undone, and a shadow's own transaction opened, once."""
        if self.held_by is not None and self.held_by is not run:
            yield from self.undo()
        if run is None or not run.shadow or self.held_by is run:
            return
        if run.ended:
            raise ShadowRefused("this shadow has ended: nothing would roll back what it still does")
        if is_open():
            raise ShadowRefused(f"a shadow may not use a {self.dialect.name} connection with a transaction that was begun outside of it")
        yield Step("BEGIN")
        self.held_by, self.begun, self._aborted, self._owed = run, False, False, False
        self.on_held(run)
        for sql in (*self.dialect.held, _SAVE):
            yield Step(sql)

    def undo(self) -> Steps:
        """Roll everything of the shadow back. Does nothing the second time."""
        if self.held_by is not None:
            yield Step("ROLLBACK")
            self.forget()

    def forget(self) -> None:
        """The connection is gone, and all of the shadow with it."""
        self.held_by, self.begun, self._aborted, self._owed = None, False, False, False
        self.transaction.rolled_back()

    def begin(self) -> Steps:
        """The shadow's task begins a transaction."""
        if not self.begun:
            yield from self._settle_up()
            if not self._owed:
                yield from self._renew()
            self.begun, self._by_savepoint = True, False

    def commit(self) -> Steps:
        """The shadow's task commits. As everywhere, what has failed is rolled back instead."""
        if self._aborted:
            yield from self.rollback()
            return
        if self._owed and not self.begun:
            yield from self._settle_up()
            return
        if self.transaction.waiting:
            yield from self._fire_deferred()
        yield from self._renew()
        self.begun = self._owed = False
        self.transaction.committed()

    def _fire_deferred(self) -> Steps:
        """What would refuse the commit refuses it here, and all since the last one is rolled back, as it would be."""
        try:
            for sql in self.dialect.deferred:
                yield Step(sql)
        except Exception:
            yield from self.rollback()
            raise

    def rollback(self) -> Steps:
        """The shadow's task rolls back, to where it last committed."""
        yield from self._settle_up()
        yield Step(_BACK)
        self.begun = self._aborted = False
        self.transaction.rolled_back()

    def execute(
        self,
        run: Execution,
        sql: str,
        rows: Sequence[Parameters],
        *,
        begins: Callable[[Statement], bool],
        is_open: Callable[[], bool],
        keys: KeysOf = _no_keys,
    ) -> Steps:
        """One text of the task's.

        `begins` says whether a transaction begins before the statement without a word of it; `keys` gives, after an INSERT, the keys
        the database gave to its rows, as far as the driver has been told.
        """
        call = _Call(run, sql, statements_of(sql), rows, keys)
        yield from self.enter(run, is_open)
        if not run.shadow:
            yield from self._execute_for_real(call, is_open)
        elif len(call.statements) > 1:
            yield from self._execute_several(call)
        else:
            yield from self._execute_in_shadow(call, begins)

    def settle(self, last: Statement) -> None:
        """The authority's transaction has ended, by that statement."""
        if last.verb == "ROLLBACK" or self._aborted:
            self.transaction.rolled_back()
        else:
            self.transaction.committed()
        self._aborted = False

    def _execute_for_real(self, call: _Call, is_open: Callable[[], bool]) -> Steps:
        failed = self._aborted
        try:
            touched = yield Step(call.sql, own=False)
        except Exception as exc:
            self._aborted = self._aborts(exc) and is_open()
            if not is_open():
                # A commit that was refused.
                self.transaction.rolled_back()
            raise
        self._note(call, touched)
        if not is_open():
            self.settle(Statement(verb="ROLLBACK") if failed else call.statements[-1])
        self._aborted = False

    def _execute_in_shadow(self, call: _Call, begins: Callable[[Statement], bool]) -> Steps:
        (statement,) = call.statements
        self._judge(statement)
        yield from self._settle_up()
        if self._aborted and not self.begun:
            yield from self.rollback()
        if not self.begun and begins(statement):
            yield from self.begin()
            self._by_savepoint = statement.verb == "SAVEPOINT"
        if statement.controls and not (statement.savepoint and self.begun):
            yield from self._control(statement)
            yield Step(self.dialect.nothing, own=False)
            return
        try:
            touched = yield Step(self.dialect.nothing if _sets_transaction(statement) else call.sql, own=False)
        except Exception as exc:
            yield from self._mend(exc, call.run)
            raise
        except BaseException:
            # Cancelled: what the server made of it is not known.
            self._aborted = self.dialect.errors_abort
            raise
        self._aborted = False
        self._note(call, touched)
        if self.begun:
            if statement.verb == "RELEASE" and self._by_savepoint and not self.transaction.nested:
                yield from self.commit()
        elif statement.verb not in _READS:
            if self.dialect.reads_late:
                self._owed = True
                self.transaction.committed()
            else:
                yield from self.commit()

    def _settle_up(self) -> Steps:
        """Have the savepoint stand for the last commit, if that is possible by now."""
        if not self._owed or self.begun:
            return
        try:
            yield Step(_RELEASE)
        except Exception:  # noqa: BLE001 - rows are still to be fetched: the next statement tries again
            return
        yield Step(_SAVE)
        self._owed = False

    def _control(self, statement: Statement) -> Steps:
        if statement.verb == "BEGIN":
            yield from self.begin()
        elif statement.verb == "COMMIT":
            yield from self.commit()
        elif statement.verb == "ROLLBACK":
            yield from self.rollback()
        else:
            raise ShadowRefused(f"{statement.verb} outside of a transaction: {self.dialect.name} would refuse it as well")

    def _execute_several(self, call: _Call) -> Steps:
        for statement in call.statements:
            self._judge(statement)
            if statement.controls:
                raise ShadowRefused(f"a shadow may not run {statement.verb} among other statements in one text: run each on its own")
        yield from self._settle_up()
        try:
            yield Step(call.sql, own=False)
        except Exception as exc:
            yield from self._mend(exc, call.run)
            raise
        self._note(call, -1)
        if not self.begun:
            yield from self.commit()
        if any(statement.verb == "RESET" for statement in call.statements):
            # A pool's, as the connection comes back to it.
            for held in self.dialect.held:
                yield Step(held)

    def _mend(self, exc: Exception, run: Execution) -> Steps:
        """A statement failed: outside of a transaction of the task's that leaves nothing, inside it may abort the transaction."""
        if _code(exc) in self.dialect.waited_in_vain:
            run.answered_by_nothing()
        if self.begun:
            self._aborted = self._aborts(exc)
        else:
            yield Step(_BACK)

    def _aborts(self, exc: Exception) -> bool:
        """True for an error of the server's, which the drivers tell by its code. One raised before anything was sent changes nothing."""
        return self.dialect.errors_abort and bool(_code(exc))

    def _judge(self, statement: Statement) -> None:
        verb = statement.verb
        first = statement.rest[0].word if statement.rest else ""
        if verb in self.dialect.refused or (verb, first) == ("PREPARE", "TRANSACTION"):
            raise ShadowRefused(f"a shadow may not run {verb}: it cannot be rolled back")
        if past := statement.calls & self.dialect.refused_functions:
            raise ShadowRefused(f"a shadow may not call {min(past)}: what it does no transaction undoes")
        if verb == "DO" and (said := _said_in(statement, self.dialect.refused_functions | {"execute"})):
            raise ShadowRefused(f"a shadow may not run a block with {min(said)} in it: what that does no transaction undoes, or may not")
        if verb == "SET" and any(token.word == "STANDARD_CONFORMING_STRINGS" for token in statement.rest):
            raise ShadowRefused("a shadow may not set standard_conforming_strings: its statements could not be told apart any more")
        if verb == "COPY" and not {token.word for token in statement.rest} & {"STDIN", "STDOUT"}:
            raise ShadowRefused("a shadow may not COPY to or from a file or program of the server's: it cannot be rolled back")

    def _note(self, call: _Call, touched: int) -> None:
        transaction = self.transaction
        alone = len(call.rows) == len(call.statements) == 1
        for statement in call.statements:
            if statement.writes:
                keys = call.keys(statement) if alone and statement.makes_keys else ()
                for parameters in call.rows:
                    transaction.wrote(call.run, statement, parameters, touched if alone else -1, keys)
            elif statement.savepoint is not None:
                {"SAVEPOINT": transaction.marked, "RELEASE": transaction.released, "ROLLBACK": transaction.rolled_back_to}[statement.verb](
                    statement.savepoint
                )

    def _renew(self) -> Steps:
        yield Step(_RELEASE)
        yield Step(_SAVE)


def _code(exc: Exception) -> str:
    """By which the server, or SQLite, says what went wrong."""
    codes = (getattr(exc, name, None) for name in ("sqlstate", "pgcode", "sqlite_errorname"))
    return next((code for code in codes if isinstance(code, str)), "")


def _said_in(statement: Statement, names: frozenset[str]) -> set[str]:
    """Those of the names that stand anywhere in its body, quoted or not."""
    body = " ".join(token.text for token in statement.rest).lower()
    return {name for name in names if name in body}


def _sets_transaction(statement: Statement) -> bool:
    """`SET TRANSACTION` must come first in a transaction, and the shadow's has begun."""
    return statement.verb == "SET" and bool(statement.rest) and statement.rest[0].word == "TRANSACTION"


def perform(steps: Steps, run: Callable[[Step], int]) -> None:
    """Run the steps with a driver that blocks."""
    try:
        step = next(steps)
        while True:
            try:
                touched = run(step)
            except BaseException as exc:  # noqa: BLE001 - the steps decide what becomes of it
                step = steps.throw(exc)
            else:
                step = steps.send(touched)
    except StopIteration:
        return


async def perform_async(steps: Steps, run: Callable[[Step], Awaitable[int]]) -> None:
    """Run the steps with a driver that is awaited."""
    try:
        step = next(steps)
        while True:
            try:
                touched = await run(step)
            except BaseException as exc:  # noqa: BLE001 - the steps decide what becomes of it
                step = steps.throw(exc)
            else:
                step = steps.send(touched)
    except StopIteration:
        return

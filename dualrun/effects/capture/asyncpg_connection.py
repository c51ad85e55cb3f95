"""asyncpg: its connections speak to the server through one protocol object, and the capture stands before that."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import wraps
from types import ModuleType
from typing import Any

from dualrun.effects.capture.sql_session import KEYS_MAX, POSTGRES, SqlSession, Step, perform_async
from dualrun.effects.capture.sql_write import Parameters, plain
from dualrun.effects.execution import Execution, current_execution
from dualrun.effects.guard import permitted

__all__ = ["patch"]


def patch(library: ModuleType) -> None:
    """Put the capture between `Connection` and its protocol; connecting to a database that is captured is no way out of a shadow."""
    from asyncpg import connect_utils

    library.connection.Connection.__init__ = _initialised(library.connection.Connection.__init__)
    for name in ("_connect", "_cancel"):
        setattr(connect_utils, name, _permitting(getattr(connect_utils, name)))


def _initialised(init: Callable[..., None]) -> Callable[..., None]:
    @wraps(init)
    def initialised(self: object, protocol: Any, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as in asyncpg
        init(self, CapturedProtocol(protocol), *args, **kwargs)

    return initialised


def _permitting(connect: Callable[..., Awaitable[object]]) -> Callable[..., Awaitable[object]]:
    @wraps(connect)
    async def connecting(*args: Any, **kwargs: Any) -> object:  # noqa: ANN401 - as in asyncpg
        with permitted():
            return await connect(*args, **kwargs)

    return connecting


class CapturedProtocol:
    """What a connection asks of its protocol; whatever is not named here goes straight to it."""

    def __init__(self, protocol: Any) -> None:  # noqa: ANN401 - compiled, without types
        self._protocol = protocol
        self._session = SqlSession(POSTGRES, self._on_held)
        self._undoing = asyncio.Lock()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._protocol, name)

    def is_in_transaction(self) -> bool:
        """As the task is to see it: the transaction in which a shadow is held is none of its own."""
        session = self._session
        if session.held_by is not None:
            return session.held_by is current_execution() and session.begun
        return self._is_open()

    async def query(self, query: str, timeout: object) -> object:  # noqa: ASYNC109 - as in asyncpg
        """One text without parameters, of one statement or several."""
        return await self._run(query, [()], lambda: self._protocol.query(query, timeout), _touched_by_status)

    async def bind_execute(self, state: Any, args: Any, *rest: Any, **options: Any) -> object:  # noqa: ANN401
        """A prepared statement."""
        return await self._run(state.query, [plain(args)], lambda: self._protocol.bind_execute(state, args, *rest, **options), _touched)

    async def bind_execute_many(self, state: Any, args: Iterable[Any], *rest: Any, **options: Any) -> object:  # noqa: ANN401
        """A prepared statement with many rows of parameters."""
        rows = list(args)
        return await self._run(
            state.query,
            [plain(row) for row in rows],
            lambda: self._protocol.bind_execute_many(state, rows, *rest, **options),
            lambda _: -1,
        )

    async def copy_in(self, copy_stmt: str, *args: Any, **options: Any) -> object:  # noqa: ANN401
        """COPY ... FROM STDIN."""
        return await self._run(copy_stmt, [()], lambda: self._protocol.copy_in(copy_stmt, *args, **options), _touched_by_status)

    async def copy_out(self, copy_stmt: str, *args: Any, **options: Any) -> object:  # noqa: ANN401
        """COPY ... TO STDOUT."""
        return await self._run(copy_stmt, [()], lambda: self._protocol.copy_out(copy_stmt, *args, **options), _touched_by_status)

    async def prepare(self, *args: Any, **options: Any) -> object:  # noqa: ANN401
        """Prepares; what an earlier shadow left is undone before."""
        await self._enter(current_execution())
        with permitted():
            return await self._protocol.prepare(*args, **options)

    async def bind(self, *args: Any, **options: Any) -> object:  # noqa: ANN401
        """Opens a cursor."""
        await self._enter(current_execution())
        with permitted():
            return await self._protocol.bind(*args, **options)

    async def execute(self, *args: Any, **options: Any) -> object:  # noqa: ANN401
        """Reads on from a cursor."""
        with permitted():
            return await self._protocol.execute(*args, **options)

    async def close_portal(self, *args: Any, **options: Any) -> object:  # noqa: ANN401
        """Forgets a cursor."""
        with permitted():
            return await self._protocol.close_portal(*args, **options)

    async def close_statement(self, *args: Any, **options: Any) -> object:  # noqa: ANN401
        """Forgets a prepared statement."""
        with permitted():
            return await self._protocol.close_statement(*args, **options)

    async def close(self, *args: Any, **options: Any) -> object:  # noqa: ANN401
        """Says goodbye."""
        with permitted():
            return await self._protocol.close(*args, **options)

    async def _run(
        self, sql: str, rows: list[Parameters], ask: Callable[[], Awaitable[object]], touched_by: Callable[[object], int]
    ) -> object:
        run = current_execution()
        if run is None:
            if not self._session.untouched:
                await self._enter(None)
            return await ask()
        answers: list[object] = []

        async def step(step: Step) -> int:
            if step.own:
                return await self._own(step)
            with permitted():
                answers.append(await (ask() if step.sql is sql else self._stand_in(step.sql, ask, touched_by)))
            return touched_by(answers[-1])

        await self._enter(run)
        steps = self._session.execute(
            run, sql, rows, begins=lambda _: False, is_open=self._is_open, keys=lambda statement: _key_column(answers[-1], statement.key_at)
        )
        await perform_async(steps, step)
        return answers[-1]

    async def _stand_in(self, sql: str, ask: object, touched_by: object) -> object:
        """What a shadow's BEGIN, COMMIT or ROLLBACK is answered with."""
        status = await self._protocol.query(sql, None)
        return status if touched_by is _touched_by_status else ([], status.encode(), True)

    async def _enter(self, run: Execution | None) -> None:
        async with self._undoing:
            await perform_async(self._session.enter(run, self._is_open), self._own)

    async def _own(self, step: Step) -> int:
        with permitted():
            await self._protocol.query(step.sql, None)
        return -1

    def _is_open(self) -> bool:
        return bool(self._protocol.is_in_transaction())

    def _on_held(self, run: Execution) -> None:
        run.at_end_await(self._undo)

    async def _undo(self) -> None:
        if not self._protocol.is_connected():
            self._session.forget()
            return
        async with self._undoing:
            await perform_async(self._session.undo(), self._own)


def _touched(answer: object) -> int:
    """The rows of `(records, status, completed)`."""
    return _touched_by_status(answer[1]) if isinstance(answer, tuple) and len(answer) > 1 else -1


def _key_column(answer: object, at: int | None) -> Sequence[object]:
    """What RETURNING answered."""
    if at is None:
        return ()
    records = answer[0] if isinstance(answer, tuple) else answer if isinstance(answer, list) else ()
    return [record[at] for record in records[:KEYS_MAX]]


def _touched_by_status(status: object) -> int:
    """The number at the end of `UPDATE 3`."""
    words = status.split() if isinstance(status, str | bytes) else []
    return int(words[-1]) if words and words[-1].isdigit() else -1

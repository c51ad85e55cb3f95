"""Calls through a circuit: as this process sees it, and as all processes of the service do."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from dualrun.breakers import BreakerBoard, BreakerState
from event_handlers.breaker import Breaker, Circuit, Circuits
from event_handlers.context import current_context, is_in_shadow
from event_handlers.payload import InvalidPayload
from event_handlers.policy import NotNow

__all__ = ["CircuitGuard", "CircuitOpen"]

log = logging.getLogger(__name__)


class CircuitOpen(NotNow):
    """What is called keeps failing, and is not tried for now. Let out of a handler, the event waits and no attempt is counted."""

    def __init__(self, name: str, wait_s: float) -> None:
        super().__init__(wait_s, f"the circuit of {name!r} is open for another {wait_s:.1f} s")
        self.name = name


class CircuitGuard:
    """The circuits of one owner, shared through the board that is given, else through that of the worker whose handler runs."""

    def __init__(self, board: BreakerBoard | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._given = board
        self._clock = clock
        self._circuits = Circuits(clock)
        self._looked_at_s: dict[str, float] = {}

    def states(self) -> Mapping[str, BreakerState]:
        """Every circuit there is, by name."""
        return self._circuits.states()

    @asynccontextmanager
    async def guarding(self, name: str, breaker: Breaker | None, counts: tuple[type[Exception], ...]) -> AsyncIterator[None]:
        """Let one call through, and learn from how it ends: errors of `counts` are failures. Raises `CircuitOpen`."""
        if breaker is None or is_in_shadow():
            yield
            return
        circuit = self._circuits.of(name, breaker)
        await self._enter(name, circuit, breaker)
        try:
            yield
        except (NotNow, InvalidPayload):
            # Nothing was called: neither well nor badly.
            circuit.give_up_trial()
            raise
        except counts:
            await self._failed(name, circuit, breaker)
            raise
        except Exception:
            # What was called answered, if with an error: it is there.
            await self._succeeded(name, circuit)
            raise
        else:
            await self._succeeded(name, circuit)

    async def _enter(self, name: str, circuit: Circuit, breaker: Breaker) -> None:
        board = self._board
        if board is not None:
            await self._look(board, name, circuit, breaker)
        wait_s = circuit.wait_s(self._clock())
        if wait_s == 0 and board is not None and circuit.state(self._clock()) is BreakerState.HALF_OPEN:
            wait_s = await board.begin_trial(name, breaker.reset_s) or 0.0
            if wait_s > 0:
                circuit.leave_trial(self._clock() + wait_s)
        if wait_s > 0:
            raise CircuitOpen(name, wait_s)

    async def _failed(self, name: str, circuit: Circuit, breaker: Breaker) -> None:
        is_opened, board = circuit.failed(self._clock()), self._board
        standing = None if board is None else await board.failed(name, breaker.failures, breaker.reset_s)
        if standing is not None:
            is_opened |= circuit.adopt(standing, self._clock())
        if is_opened:
            log.warning("breaker_opened", extra={"breaker": name, "reset_s": breaker.reset_s, "is_shared": standing is not None})

    async def _succeeded(self, name: str, circuit: Circuit) -> None:
        if circuit.is_spotless:
            return
        if circuit.succeeded():
            log.info("breaker_closed", extra={"breaker": name})
        board = self._board
        if board is not None:
            await board.succeeded(name)

    async def _look(self, board: BreakerBoard, name: str, circuit: Circuit, breaker: Breaker) -> None:
        """Learn from the board what the other processes saw."""
        now_s = self._clock()
        if now_s - self._looked_at_s.get(name, -board.look_every_s) < board.look_every_s:
            return
        self._looked_at_s[name] = now_s
        standing = await board.look(name, breaker.failures, breaker.reset_s)
        if standing is not None and circuit.adopt(standing, self._clock()):
            log.warning("breaker_opened", extra={"breaker": name, "reset_s": breaker.reset_s, "is_shared": True})

    @property
    def _board(self) -> BreakerBoard | None:
        if self._given is not None:
            return self._given
        context = current_context()
        return None if context is None else context.breakers

"""A circuit breaker: whether something that keeps failing is tried at all. Pure; times are seconds of one clock.

Own code: aiobreaker has had no release since 2021, purgatory asks Redis at every call and fails when Redis does, pybreaker blocks the event
loop. Source: https://martinfowler.com/bliki/CircuitBreaker.html
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dualrun.breakers import BreakerState, Standing
from dualrun.errors import ConfigurationError

__all__ = ["Breaker", "BreakerState", "Circuit", "Circuits", "breaker_states"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """When a circuit opens, and for how long. Raises `ConfigurationError` for values that cannot be meant."""

    failures: int = 5
    """One after another, without a success in between."""
    reset_s: float = 30.0
    """Until one call may try again."""

    def __post_init__(self) -> None:
        if self.failures < 1 or self.reset_s <= 0:
            raise ConfigurationError(f"{self}: failures should be at least 1, reset_s more than 0")


class Circuit:
    """One circuit as one process sees it."""

    def __init__(self, breaker: Breaker) -> None:
        self._breaker = breaker
        self._failures = 0
        self._open_until_s: float | None = None
        self._trial_until_s = 0.0
        self._is_shared = False
        """Open because the board says so: it closes when the board says that."""

    @property
    def is_spotless(self) -> bool:
        """Closed, and no failure counted since the last success."""
        return self._failures == 0 and self._open_until_s is None

    def state(self, now_s: float) -> BreakerState:
        """How it stands."""
        if self._open_until_s is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if now_s < self._open_until_s else BreakerState.HALF_OPEN

    def wait_s(self, now_s: float) -> float:
        """0 where a call may go through, which may be the one that tries; else seconds until it is worth asking again."""
        if self._open_until_s is None:
            return 0.0
        busy_until_s = max(self._open_until_s, self._trial_until_s)
        if now_s < busy_until_s:
            return busy_until_s - now_s
        # One that never tells how it ended must not keep the circuit half open for ever.
        self._trial_until_s = now_s + self._breaker.reset_s
        return 0.0

    def succeeded(self) -> bool:
        """A call came back well; True where that closes the circuit."""
        was_open = self._open_until_s is not None
        self._close()
        return was_open

    def failed(self, now_s: float) -> bool:
        """A call failed; True where that opens the circuit."""
        self._failures += 1
        is_trial = self.state(now_s) is BreakerState.HALF_OPEN
        if not is_trial and (self._open_until_s is not None or self._failures < self._breaker.failures):
            return False
        self._open_until_s, self._trial_until_s, self._is_shared = now_s + self._breaker.reset_s, 0.0, False
        return True

    def adopt(self, standing: Standing, now_s: float) -> bool:
        """Let it stand as all processes have it; True where that opens it."""
        self._failures = standing.failures
        if standing.open_s is None:
            if self._is_shared:
                self._close()
            return False
        was_closed = self._open_until_s is None
        self._open_until_s, self._is_shared = now_s + standing.open_s, True
        return was_closed

    def give_up_trial(self) -> None:
        """The call that was to try was never made: the next one may."""
        self._trial_until_s = 0.0

    def leave_trial(self, until_s: float) -> None:
        """Another process has the call that tries; until then it may come back."""
        self._trial_until_s = until_s

    def _close(self) -> None:
        self._failures, self._open_until_s, self._trial_until_s, self._is_shared = 0, None, 0.0, False


class Circuits:
    """The circuits of one owner in this process, by name."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self._by_name: dict[str, Circuit] = {}
        _all.add(self)

    def of(self, name: str, breaker: Breaker) -> Circuit:
        """The circuit of that name, closed where it is new."""
        return self._by_name.setdefault(name, Circuit(breaker))

    def states(self) -> Mapping[str, BreakerState]:
        """Every circuit there is, by name."""
        now_s = self.clock()
        return {name: circuit.state(now_s) for name, circuit in self._by_name.items()}


_all: weakref.WeakSet[Circuits] = weakref.WeakSet()


def breaker_states() -> dict[str, int]:
    """Every circuit in this process, by name: the worst state where several share one."""
    worst: dict[str, int] = {}
    for circuits in list(_all):
        for name, state in circuits.states().items():
            worst[name] = max(state, worst.get(name, state))
    return worst

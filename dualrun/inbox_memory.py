"""An inbox in memory: for one process, gone with it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dualrun.inbox import KEEP_S, LEASE_S, SETTLED_KEEP_S, Change, Claim, ClaimRequest, ClaimState, Verb

__all__ = ["MemoryInbox"]

_ENDS = frozenset({Verb.COMPLETE, Verb.CANCEL, Verb.FORGET})


@dataclass(frozen=True, slots=True)
class _Entry:
    expires_at_s: float
    token: str | None = None
    result: bytes | None = None
    next_attempt: int = 0
    is_cancelled: bool = False


class MemoryInbox:
    """Implements `Inbox`."""

    def __init__(
        self,
        *,
        lease_s: float = LEASE_S,
        keep_s: float = KEEP_S,
        settled_keep_s: float = SETTLED_KEEP_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.lease_s = lease_s
        self._keep_s = keep_s
        self._settled_keep_s = settled_keep_s
        self._clock = clock
        self._entries: dict[str, _Entry] = {}
        self._taken: dict[str, tuple[int, float]] = {}
        """By key: claims whose end nobody has told, and until when that is known."""
        self._sweep_at_s = clock() + settled_keep_s

    async def claim(self, requests: Sequence[ClaimRequest]) -> Sequence[Claim]:
        now_s = self._clock()
        self._sweep(now_s)
        return [self._claim(request, now_s) for request in requests]

    async def change(self, changes: Sequence[Change]) -> None:
        now_s = self._clock()
        for change in changes:
            self._change(change, self._live(change.key, now_s), now_s)

    async def cancelled(self, keys: Sequence[str]) -> Sequence[bool]:
        now_s = self._clock()
        entries = [self._live(key, now_s) for key in keys]
        return [entry is not None and entry.is_cancelled for entry in entries]

    async def close(self) -> None:
        """Nothing to leave."""

    def _claim(self, request: ClaimRequest, now_s: float) -> Claim:
        entry = self._live(request.key, now_s)
        if entry is not None and entry.result is not None:
            return Claim(ClaimState.DONE, result=entry.result)
        if entry is not None and entry.is_cancelled:
            return Claim(ClaimState.CANCELLED)
        if entry is not None and entry.token not in {None, request.token}:
            return Claim(ClaimState.HELD, held_s=entry.expires_at_s - now_s)
        if entry is not None and request.attempt < entry.next_attempt:
            return Claim(ClaimState.SUPERSEDED)
        is_asked_again = entry is not None and entry.token == request.token
        taken = self._taken_before(request.key, now_s) + (not is_asked_again)
        self._taken[request.key] = (taken, now_s + self._keep_s)
        self._entries[request.key] = _Entry(now_s + self.lease_s, token=request.token)
        return Claim(ClaimState.OURS, lost=taken - 1)

    def _taken_before(self, key: str, now_s: float) -> int:
        taken, known_until_s = self._taken.get(key, (0, 0.0))
        return taken if known_until_s > now_s else 0

    def _change(self, change: Change, entry: _Entry | None, now_s: float) -> None:
        is_holder = entry is not None and entry.token == change.token
        if change.verb is Verb.RELEASE and is_holder and not change.next_attempt and self._taken_before(change.key, now_s) > 1:
            taken, known_until_s = self._taken[change.key]
            self._taken[change.key] = (taken - 1, known_until_s)
        elif change.verb in _ENDS or (change.verb is Verb.RELEASE and is_holder):
            self._taken.pop(change.key, None)
        if change.verb is Verb.COMPLETE and (entry is None or entry.result is None):
            self._entries[change.key] = _Entry(now_s + self._keep_s, result=change.result)
        elif change.verb is Verb.CANCEL and (entry is None or entry.result is None):
            self._entries[change.key] = _Entry(now_s + (change.keep_s or self._keep_s), is_cancelled=True)
        elif change.verb is Verb.SETTLE and entry is not None and entry.result is not None:
            self._entries[change.key] = _Entry(now_s + self._settled_keep_s, result=b"")
        elif change.verb is Verb.RENEW and is_holder:
            self._entries[change.key] = _Entry(now_s + self.lease_s, token=change.token)
        elif change.verb is Verb.RELEASE and is_holder and change.next_attempt:
            self._entries[change.key] = _Entry(now_s + self._keep_s, next_attempt=change.next_attempt)
        elif change.verb is Verb.FORGET or (change.verb is Verb.RELEASE and is_holder):
            self._entries.pop(change.key, None)

    def _live(self, key: str, now_s: float) -> _Entry | None:
        entry = self._entries.get(key)
        return None if entry is None or entry.expires_at_s <= now_s else entry

    def _sweep(self, now_s: float) -> None:
        if now_s >= self._sweep_at_s:
            self._entries = {key: entry for key, entry in self._entries.items() if entry.expires_at_s > now_s}
            self._taken = {key: (taken, until_s) for key, (taken, until_s) in self._taken.items() if until_s > now_s}
            self._sweep_at_s = now_s + self._settled_keep_s

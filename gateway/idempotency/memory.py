"""Idempotency keys in memory: one process, gone with it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from gateway.core.ports import Claim, ClaimState

__all__ = ["KEEP_S", "LEASE_S", "MemoryIdempotencyStore"]

LEASE_S = 30.0
"""How long a claim holds that nobody completes."""
KEEP_S = 24 * 3600.0
"""How long a key stands for its request."""


@dataclass(slots=True)
class _Entry:
    fingerprint: str
    submission_id: str
    leased_until: float
    forgotten_at: float
    is_released: bool = False
    response: bytes | None = None


class MemoryIdempotencyStore:
    """Implements `IdempotencyStore`."""

    def __init__(self, *, lease_s: float = LEASE_S, keep_s: float = KEEP_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._lease_s = lease_s
        self._keep_s = keep_s
        self._clock = clock
        self._entries: dict[str, _Entry] = {}

    async def claim(self, key: str, fingerprint: str, submission_id: str) -> Claim:
        now = self._clock()
        self._forget(now)
        entry = self._entries.get(key)
        if entry is None or (entry.is_released and entry.fingerprint != fingerprint):
            self._keep(key, _Entry(fingerprint, submission_id, now + self._lease_s, now + self._keep_s))
            return Claim(ClaimState.NEW, submission_id)
        if entry.fingerprint != fingerprint:
            return Claim(ClaimState.MISMATCH, entry.submission_id)
        if entry.response is not None:
            return Claim(ClaimState.DONE, entry.submission_id, entry.response)
        if now < entry.leased_until and not entry.is_released:
            return Claim(ClaimState.IN_PROGRESS, entry.submission_id)
        self._keep(key, _Entry(fingerprint, entry.submission_id, now + self._lease_s, now + self._keep_s))
        return Claim(ClaimState.NEW, entry.submission_id)

    async def complete(self, key: str, response: bytes) -> None:
        entry = self._entries.get(key)
        if entry is not None:
            entry.response, entry.is_released = response, False
            entry.forgotten_at = self._clock() + self._keep_s
            self._keep(key, entry)

    async def release(self, key: str) -> None:
        entry = self._entries.get(key)
        if entry is not None and entry.response is None:
            entry.is_released = True

    def _keep(self, key: str, entry: _Entry) -> None:
        # The order of the dict is the order of forgetting.
        self._entries.pop(key, None)
        self._entries[key] = entry

    def _forget(self, now: float) -> None:
        while self._entries:
            key = next(iter(self._entries))
            if self._entries[key].forgotten_at > now:
                return
            del self._entries[key]

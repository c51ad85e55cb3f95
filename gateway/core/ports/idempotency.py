"""What an idempotency key stands for, and who keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

__all__ = ["Claim", "ClaimState", "IdempotencyStore"]


class ClaimState(StrEnum):
    """What an idempotency key stands for."""

    NEW = "new"
    """Claimed now: go on, then `complete` or `release`."""
    DONE = "done"
    """Its request was accepted: answer the same again."""
    IN_PROGRESS = "in_progress"
    """Its first request is still under way."""
    MISMATCH = "mismatch"
    """It was used for a different request."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The state of a key and the submission it belongs to."""

    state: ClaimState
    submission_id: str
    response: bytes | None = None


class IdempotencyStore(Protocol):
    """Idempotency keys. A claim nobody completes is free again after its lease, under the same submission id."""

    async def claim(self, key: str, fingerprint: str, submission_id: str) -> Claim:
        """Atomic. Raises `StoreUnavailable`."""
        ...

    async def complete(self, key: str, response: bytes) -> None:
        """Keep the answer for repeats. Raises `StoreUnavailable`."""
        ...

    async def release(self, key: str) -> None:
        """Nothing was published: the key is free. Raises `StoreUnavailable`."""
        ...

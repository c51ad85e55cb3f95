"""The four tasks of the runtime benchmark, as far as both sides share them."""

from __future__ import annotations

import hashlib
import os
import time

__all__ = ["HTTP_CONNECTIONS", "SERVICE_URL", "WAIT_S", "burn", "calibrated_rounds"]

WAIT_S = 0.01
HTTP_CONNECTIONS = 256
SERVICE_URL = os.environ.get("BENCH_SERVICE_URL", "")
_ROUNDS = int(os.environ.get("BENCH_BURN_ROUNDS", "0"))
_BLOCK = b"x" * 64


def burn(rounds: int = _ROUNDS) -> str:
    """A fixed amount of processor time: rounds, not a clock, or a side that waits for the processor would have less to do."""
    digest = _BLOCK
    for _ in range(rounds):
        digest = hashlib.sha256(digest).digest()
    return digest.hex()


def calibrated_rounds(cpu_s: float) -> int:
    """How many rounds take so long on this machine; the best of several looks."""
    rounds = 2_000
    best_s = min(_took_s(rounds) for _ in range(20))
    return max(1, round(rounds * cpu_s / best_s))


def _took_s(rounds: int) -> float:
    began = time.process_time()
    burn(rounds)
    return time.process_time() - began

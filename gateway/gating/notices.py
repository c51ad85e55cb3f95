"""Notices of what the gate says: within one process, and between processes through Redis."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import msgspec

from gateway.core.gate import GateVerdict
from gateway.redis_channel import RedisChannel

__all__ = ["MemoryGateNotices", "RedisGateNotices"]

log = logging.getLogger(__name__)

_KEPT_FOR_A_LISTENER = 100

_decoder = msgspec.json.Decoder(GateVerdict)


class MemoryGateNotices:
    """Implements `GateNotices` for one process."""

    def __init__(self) -> None:
        self._listeners: set[asyncio.Queue[GateVerdict]] = set()

    async def publish(self, verdict: GateVerdict) -> None:
        for listener in self._listeners:
            if listener.full():
                listener.get_nowait()
            listener.put_nowait(verdict)

    async def verdicts(self) -> AsyncIterator[GateVerdict]:
        listener: asyncio.Queue[GateVerdict] = asyncio.Queue(_KEPT_FOR_A_LISTENER)
        self._listeners.add(listener)
        try:
            while True:
                yield await listener.get()
        finally:
            self._listeners.discard(listener)


class RedisGateNotices(RedisChannel):
    """Implements `GateNotices` between processes: channel `{prefix}gate`, one subscription a process, whatever number listens.

    Without Redis, verdicts of other processes are lost and those of this one still arrive.
    """

    def __init__(self, url: str, prefix: str) -> None:
        super().__init__(url, f"{prefix}gate")
        self._local = MemoryGateNotices()

    async def publish(self, verdict: GateVerdict) -> None:
        comes_back = self._is_subscribed
        if not (await self._send(msgspec.json.encode(verdict)) and comes_back):
            await self._local.publish(verdict)

    def verdicts(self) -> AsyncIterator[GateVerdict]:
        return self._local.verdicts()

    async def _take(self, message: bytes) -> None:
        try:
            await self._local.publish(_decoder.decode(message))
        except msgspec.MsgspecError as exc:
            log.warning("gate_notice_unreadable", extra={"reason": str(exc)})

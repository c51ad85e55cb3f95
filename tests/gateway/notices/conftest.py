"""Logs and leases, in memory and in Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from gateway.core.notice import Notice, NoticeType
from gateway.core.ports import NoticeLog, WebhookLeases
from gateway.notices import MemoryNoticeLog, MemoryWebhookLeases, RedisNoticeLog, RedisWebhookLeases

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Shared:
    """What two processes share; in memory both are one."""

    here: NoticeLog
    there: NoticeLog
    leases_here: WebhookLeases
    leases_there: WebhookLeases


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.services)])
async def shared(request: pytest.FixtureRequest) -> AsyncIterator[Shared]:
    if request.param == "memory":
        log, leases = MemoryNoticeLog(), MemoryWebhookLeases()
        yield Shared(log, log, leases, leases)
        return
    url, prefix = str(request.getfixturevalue("redis_url")), str(request.getfixturevalue("redis_prefix"))
    here, there = RedisNoticeLog(url, prefix), RedisNoticeLog(url, prefix)
    leases_here, leases_there = RedisWebhookLeases(url, prefix), RedisWebhookLeases(url, prefix)
    for part in (here, there, leases_here, leases_there):
        await part.start()
    yield Shared(here, there, leases_here, leases_there)
    for part in (here, there, leases_here, leases_there):
        await part.stop()


def notice(number: int, kind: NoticeType = NoticeType.FLAG_VERSION) -> Notice:
    return Notice(id=f"{kind.value}-{number}", type=kind, timestamp=NOON, data={"version": number})

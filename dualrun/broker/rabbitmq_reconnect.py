"""Keeping a link to RabbitMQ: a lost one is replaced, and made ready before anybody uses it."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable

from dualrun.background import cancelled
from dualrun.broker.rabbitmq_link import Link, backoff_s
from dualrun.errors import BrokerUnavailable

__all__ = ["LinkKeeper"]

log = logging.getLogger(__name__)


class LinkKeeper:
    """`prepare` is awaited on every new link; what it raises as `BrokerUnavailable` makes the keeper try again."""

    def __init__(self, open_link: Callable[[], Awaitable[Link]], prepare: Callable[[Link], Awaitable[None]]) -> None:
        self._open_link = open_link
        self._prepare = prepare
        self._link: Link | None = None
        self._is_up = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def is_started(self) -> bool:
        """Between `start` and `close`."""
        return self._task is not None

    @property
    def is_up(self) -> bool:
        """Whether there is a link, as far as is known."""
        return self._is_up.is_set() and self._link is not None and self._link.is_up

    async def start(self) -> None:
        """Raises `BrokerUnavailable` when there is no link now; nothing keeps running then."""
        if self._task is not None:
            return
        link = await self._open()
        self._set(link)
        self._task = asyncio.create_task(self._keep(link), name="keep the link to RabbitMQ")

    async def link(self, wait_s: float | None) -> Link:
        """The link, waited for at most `wait_s`. Raises `BrokerUnavailable`."""
        if not self.is_started:
            raise BrokerUnavailable("not connected")
        try:
            async with asyncio.timeout(wait_s):
                while True:
                    await self._is_up.wait()
                    if self._link is not None and self._link.is_up:
                        return self._link
                    # Lost a moment ago, and the keeper has not run yet.
                    await asyncio.sleep(0)
        except TimeoutError as exc:
            raise BrokerUnavailable(f"not connected within {wait_s:g} s") from exc

    async def close(self) -> None:
        """Let the link go."""
        task, self._task = self._task, None
        await cancelled(task)
        self._is_up.clear()
        if self._link is not None:
            await self._link.close()
            self._link = None

    async def _open(self) -> Link:
        link = await self._open_link()
        try:
            await self._prepare(link)
        except BaseException:
            await link.close()
            raise
        return link

    def _set(self, link: Link) -> None:
        self._link = link
        self._is_up.set()

    async def _keep(self, link: Link) -> None:
        while True:
            reason = await asyncio.shield(link.lost)
            self._is_up.clear()
            log.warning("broker_link_lost", extra={"reason": reason})
            await link.close()
            link = await self._replace()
            self._set(link)
            log.info("broker_link_restored")

    async def _replace(self) -> Link:
        for attempt in itertools.count():
            await asyncio.sleep(backoff_s(attempt))
            try:
                return await self._open()
            except BrokerUnavailable as exc:
                log.warning("broker_unreachable", extra={"attempt": attempt + 1, "reason": str(exc)})
        raise AssertionError("the attempts are endless")

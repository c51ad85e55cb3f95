"""The legacy side in one process: the same Celery messages, on the app's own memory transport."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from celery import Celery
from kombu.exceptions import KombuError

from dualrun.contracts import ServedTask, Side, Work
from gateway.core.errors import DispatchFailed
from gateway.dispatch.celery_message import CeleryMessages

__all__ = ["CeleryMemoryDispatcher"]

_PERSISTENT = 2


class CeleryMemoryDispatcher:
    """Publishes with the app's own producer, from one thread: kombu is synchronous, and the event loop does not wait for it."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._messages = CeleryMessages(app)
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="celery-publish")

    @property
    def side(self) -> Side:
        return Side.LEGACY

    async def send(self, work: Work, served: ServedTask) -> None:
        """Return once the message is in its queue. Raises `DispatchFailed`."""
        failure = (await self.send_many([(work, served)]))[0]
        if failure is not None:
            raise failure

    async def send_many(self, batch: Sequence[tuple[Work, ServedTask]]) -> list[DispatchFailed | None]:
        """As `send` for each."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._publish_all, batch)

    def close(self) -> None:
        """Give the thread back."""
        self._executor.shutdown()

    def _publish_all(self, batch: Sequence[tuple[Work, ServedTask]]) -> list[DispatchFailed | None]:
        return [self._publish(work, served) for work, served in batch]

    def _publish(self, work: Work, served: ServedTask) -> DispatchFailed | None:
        try:
            outgoing = self._messages.outgoing(work, served)
            message = outgoing.message
            with self._app.producer_pool.acquire(block=True) as producer:
                producer.publish(
                    message.body,
                    exchange=outgoing.exchange,
                    routing_key=outgoing.routing_key,
                    headers=dict(message.headers),
                    content_type=message.content_type,
                    content_encoding=message.content_encoding,
                    delivery_mode=_PERSISTENT,
                    priority=message.priority,
                    correlation_id=message.correlation_id,
                )
        except DispatchFailed as exc:
            return exc
        except (KombuError, OSError) as exc:
            return DispatchFailed(self.side, f"{type(exc).__name__}: {exc}", maybe_published=False)
        return None

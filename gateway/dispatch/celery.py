"""The legacy side: Celery messages on the broker its workers consume from."""

from __future__ import annotations

from collections.abc import Collection

from celery import Celery

from dualrun.broker import Broker, Outgoing
from dualrun.contracts import ServedTask, Side, Work
from gateway.dispatch.broker import BrokerDispatcher
from gateway.dispatch.celery_message import JSON_ALONE, CeleryMessages

__all__ = ["CeleryDispatcher"]


class CeleryDispatcher(BrokerDispatcher):
    """Sends Celery's messages. `app` lends its message format only; none is needed."""

    def __init__(self, broker: Broker, *, app: Celery | None = None, serializers: Collection[str] = JSON_ALONE) -> None:
        super().__init__(broker, Side.LEGACY)
        self._messages = CeleryMessages(app, serializers=serializers)

    def _outgoing(self, work: Work, served: ServedTask) -> Outgoing:
        return self._messages.outgoing(work, served)

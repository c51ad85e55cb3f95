"""The legacy side: Celery's own `revoke`, told to every worker that is up."""

from __future__ import annotations

import asyncio

from celery import Celery
from kombu.connection import Connection
from kombu.exceptions import KombuError

from dualrun.contracts import Side
from gateway.core.cancellation import Cancellation
from gateway.core.errors import CancelFailed
from gateway.dispatch.celery_message import shadow_task_id

__all__ = ["CeleryCanceller", "app_for_control"]

_CONNECT_TIMEOUT_S = 3.0
_IS_TOLD = (
    "Celery's workers that are up were told to revoke it: it does not start, but one at work is finished. A worker that is down hears "
    "nothing, and one that restarts forgets unless it has --statedb"
)


def app_for_control(url: str) -> Celery:
    """An app that only talks to the workers at this broker."""
    app = Celery("dualrun-gateway", broker=url, set_as_current=False)
    # Or kombu tries for ever while somebody waits for the answer.
    app.conf.broker_connection_timeout = _CONNECT_TIMEOUT_S
    app.conf.broker_transport_options = {"max_retries": 1, "interval_start": 0.0, "interval_max": 0.1, "confirm_publish": True}
    return app


class CeleryCanceller:
    """Implements `Canceller` with an app's remote control; Celery's code builds and sends the broadcast."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    @property
    def side(self) -> Side:
        return Side.LEGACY

    async def cancel(self, cancellation: Cancellation) -> str:
        """Return once it is published. Raises `CancelFailed`."""
        ids = [cancellation.submission.id]
        if cancellation.shadowed:
            ids.append(shadow_task_id(cancellation.submission.id))
        await asyncio.to_thread(self._revoke, ids)
        return _IS_TOLD

    def _revoke(self, ids: list[str]) -> None:
        # A fresh connection: a pooled one may have died unnoticed since somebody last cancelled.
        connection: Connection = self._app.connection_for_write()
        try:
            with connection:
                self._app.control.revoke(ids, connection=connection)
        except (*connection.connection_errors, *connection.channel_errors, KombuError, OSError) as exc:
            raise CancelFailed(self.side, f"Celery's broker: {type(exc).__name__}: {exc}") from exc

"""Messages that a flag change recalls from a Celery worker: they go to a gateway instead of to the pool."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeAlias
from weakref import WeakSet

from celery.worker.request import Request
from celery.worker.state import reserved_requests, task_ready

from dualrun.broker import Message
from dualrun.broker.headers import fresh_headers
from dualrun.broker.redirect_topology import REDIRECT_TOPOLOGY
from dualrun.contracts import Role
from dualrun.contracts.topology import HEADER_RECALLED_BY, REDIRECT_QUEUE
from dualrun.in_force import FlagsInForce
from legacy_celery.confirmed_publisher import ConfirmedPublisher
from legacy_celery.ticket import ticket_of

__all__ = ["GiveBack", "HandingOver", "RecallableRequest", "give_back_by"]

log = logging.getLogger(__name__)

GiveBack: TypeAlias = Callable[[Message], None]
"""Return when a gateway is sure to get the message; raise anything when it is not."""


def give_back_by(amqp_url: str) -> GiveBack:
    """Through RabbitMQ."""
    publisher = ConfirmedPublisher(amqp_url, REDIRECT_TOPOLOGY)
    return lambda message: publisher.send(REDIRECT_QUEUE, message)


class HandingOver:
    """Says what is recalled, and gives it back. `in_force` knows the flags of the legacy side."""

    def __init__(self, in_force: FlagsInForce, give_back: GiveBack) -> None:
        self._in_force = in_force
        self._give_back = give_back
        # Between asking whether a request is recalled and noting that it goes to the pool nobody may count.
        self._deciding = threading.Lock()
        self._in_hand: WeakSet[RecallableRequest] = WeakSet()
        self._in_pool: WeakSet[RecallableRequest] = WeakSet()
        self._looks_again = threading.Event()
        self._giving = 0
        self.given_back: Counter[int] = Counter()
        """Version -> messages it recalled that a gateway has now."""
        self.kept: Counter[int] = Counter()
        """Version -> messages it recalled that run here, as they could not be given back."""
        self.received_count = 0
        """Messages that have come since the worker started."""
        in_force.listen(lambda _: self._looks_again.set())

    @property
    def undecided(self) -> int:
        """Messages in hand of which it is not decided yet whether they go back."""
        return self._giving + int(self._looks_again.is_set())

    def received(self, request: RecallableRequest) -> None:
        """A message has come: it goes back at once if it is recalled, also where it would wait for its eta."""
        self.received_count += 1
        self._in_hand.add(request)
        request.hand_over(self)

    def look_again(self) -> None:
        """In the consumer's thread: if a recall was heard of since, what waits in hand is asked again."""
        if not self._looks_again.is_set():
            return
        self._looks_again.clear()
        self._giving += 1
        for request in list(self._in_hand):
            request.hand_over(self)
        self._giving -= 1

    def started(self, tasks: Collection[str], version: int) -> int:
        """How many messages of these tasks that were decided before the version are in the pool, running or about to."""
        with self._deciding:
            in_pool = [request for request in list(self._in_pool) if request in reserved_requests]
        tickets = [ticket_of(request.request_dict) for request in in_pool]
        return sum(
            1 for ticket in tickets if ticket and ticket.role is not Role.SHADOW and ticket.task in tasks and ticket.flag_version < version
        )

    def goes_to_pool(self, request: RecallableRequest) -> bool:
        """Whether it does; else it is recalled, and was given back if that was possible."""
        with self._deciding:
            if not self.recalled_by(request.request_dict, redelivered=request.is_redelivered):
                self._noted_in_pool(request)
                return True
        if request.hand_over(self):
            return False
        with self._deciding:
            self._noted_in_pool(request)
        self.kept[self.recalled_by(request.request_dict, redelivered=request.is_redelivered)] += 1
        return True

    def _noted_in_pool(self, request: RecallableRequest) -> None:
        self._in_hand.discard(request)
        self._in_pool.add(request)

    def recalled_by(self, headers: Mapping[str, object], *, redelivered: bool) -> int:
        """The flag version that recalls it; 0 where none does, or where it may have started: a retry in progress stays on its side."""
        version = self._in_force.recalled_before(str(headers.get("task", "")))
        if not version or redelivered:
            return 0
        ticket = ticket_of(headers)
        if ticket is None or ticket.role is Role.SHADOW or ticket.attempts > 1:
            return 0
        return version if ticket.flag_version < version else 0

    def take(self, headers: Mapping[str, object], message: Any, *, redelivered: bool) -> bool:  # noqa: ANN401 - kombu's, untyped
        """Whether a gateway has it now. One that cannot be given back is run here, where it was decided to run."""
        version = self.recalled_by(headers, redelivered=redelivered)
        if not version:
            return False
        properties = message.properties
        returned = Message(
            body=message.body if isinstance(message.body, bytes) else str(message.body).encode(),
            headers={**fresh_headers(message.headers), HEADER_RECALLED_BY: str(version)},
            content_type=str(message.content_type),
            content_encoding=str(message.content_encoding),
            correlation_id=properties.get("correlation_id"),
            message_id=properties.get("message_id"),
            priority=properties.get("priority"),
        )
        self._giving += 1
        try:
            self._give_back(returned)
        except Exception:  # whatever keeps it from a gateway, the work is not lost and not stopped
            log.exception("recalled_task_not_given_back", extra={"task": headers.get("task"), "task_id": headers.get("id")})
            return False
        else:
            self.given_back[version] += 1
        finally:
            self._giving -= 1
        log.info("task_given_back", extra={"task": headers.get("task"), "task_id": headers.get("id"), "version": version})
        return True


class RecallableRequest(Request):  # type: ignore[misc]  # Celery has no types
    """Celery's request, asked once more before it goes to the pool. A scheduled one is asked when it is due."""

    handing_over: HandingOver | None = None
    """The process's; None takes nothing back."""
    _already_revoked: bool

    @property
    def is_redelivered(self) -> bool:
        """Whether a worker was lost that had it."""
        return bool(self.delivery_info.get("redelivered"))

    def revoked(self) -> bool:
        """As Celery's, which asks this last before the pool gets the task: true also where a gateway has it now."""
        handing_over, revoked = self.handing_over, bool(super().revoked())
        if revoked and self in reserved_requests:
            task_ready(self)
        # One that expires is asked when it comes, too.
        if revoked or handing_over is None or self not in reserved_requests:
            return revoked
        return not handing_over.goes_to_pool(self)

    def hand_over(self, handing_over: HandingOver) -> bool:
        """Whether a gateway has it now. Then nobody else asks for it: it is acknowledged, and revoked for Celery."""
        if self._already_revoked or not handing_over.take(self.request_dict, self._message, redelivered=self.is_redelivered):
            return self._already_revoked
        task_ready(self)
        self.acknowledge()
        self._already_revoked = True
        return True

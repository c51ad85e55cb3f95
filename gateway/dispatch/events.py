"""The events side: submissions as CloudEvents on the exchange their services listen to."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from dualrun.broker import Broker, Message, Outgoing
from dualrun.contracts import Event, Role, ServedTask, Side, Work, headers_of
from dualrun.contracts.topology import EVENTS_EXCHANGE, HEADER_ETA, HEADER_EXPIRES, HEADER_SERVICE, SHADOW_EXCHANGE
from dualrun.errors import BrokerError
from gateway.core.arguments import bind_arguments
from gateway.core.errors import DispatchFailed, InvalidArguments
from gateway.dispatch.failure import dispatch_failed
from gateway.dispatch.headers import work_headers

__all__ = ["HEADER_POSITIONAL", "SOURCE", "EventsDispatcher", "event_of"]

SOURCE = "/dualrun/gateway"
HEADER_POSITIONAL = "dualrun-positional"
"""How many of the payload's parameters the caller gave by position: what a replay to the legacy side needs."""

_EXCHANGES = {Role.AUTHORITY: EVENTS_EXCHANGE, Role.SHADOW: SHADOW_EXCHANGE}


def event_of(work: Work, served: ServedTask) -> Event:
    """The event: its id is the submission's, its type the task, its payload the arguments by name. Raises `InvalidArguments`."""
    submission = work.submission
    headers = {**work_headers(work), HEADER_POSITIONAL: str(len(submission.args))}
    if served.service:
        headers[HEADER_SERVICE] = served.service
    if work.eta is not None:
        headers[HEADER_ETA] = work.eta.isoformat()
    if submission.options.expires is not None:
        headers[HEADER_EXPIRES] = submission.options.expires.isoformat()
    return Event(
        id=submission.id,
        type=submission.task,
        source=SOURCE,
        time=submission.submitted_at,
        payload=bind_arguments(served.parameters, submission.args, submission.kwargs, task=submission.task),
        headers=headers,
    )


class EventsDispatcher:
    """Publishes through the `Broker` port: mandatory and confirmed."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    @property
    def side(self) -> Side:
        return Side.EVENTS

    async def send(self, work: Work, served: ServedTask) -> None:
        """Return once the broker confirmed the message. Raises `DispatchFailed`."""
        outgoing = self._built(work, served)
        if isinstance(outgoing, DispatchFailed):
            raise outgoing
        try:
            await self._broker.publish(outgoing.exchange, outgoing.routing_key, outgoing.message)
        except BrokerError as exc:
            raise dispatch_failed(self.side, exc) from exc

    async def send_many(self, batch: Sequence[tuple[Work, ServedTask]]) -> list[DispatchFailed | None]:
        """As `send` for each, all in flight at once."""
        built = [self._built(work, served) for work, served in batch]
        answers = iter(await self._broker.publish_many([item for item in built if isinstance(item, Outgoing)]))
        return [item if isinstance(item, DispatchFailed) else self._answer(next(answers)) for item in built]

    def _built(self, work: Work, served: ServedTask) -> Outgoing | DispatchFailed:
        try:
            event = event_of(work, served)
        except InvalidArguments as exc:
            return DispatchFailed(self.side, str(exc), maybe_published=False)
        message = Message(
            body=msgspec.json.encode(event.payload),
            headers=headers_of(event),
            message_id=event.id,
            correlation_id=event.id,
            priority=work.submission.options.priority,
        )
        return Outgoing(_EXCHANGES[work.role], event.type, message)

    def _answer(self, error: BrokerError | None) -> DispatchFailed | None:
        return None if error is None else dispatch_failed(self.side, error)

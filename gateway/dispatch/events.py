"""The events side: submissions as CloudEvents on the exchange their services listen to."""

from __future__ import annotations

import msgspec

from dualrun.broker import Broker, Message, Outgoing
from dualrun.contracts import Event, Role, ServedTask, Side, Work, headers_of
from dualrun.contracts.topology import EVENTS_EXCHANGE, HEADER_ETA, HEADER_EXPIRES, HEADER_SERVICE, SHADOW_EXCHANGE
from gateway.core.arguments import bind_arguments
from gateway.core.errors import DispatchFailed, InvalidArguments
from gateway.dispatch.broker import BrokerDispatcher
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


class EventsDispatcher(BrokerDispatcher):
    """Sends events, a shadow's to an exchange of its own."""

    def __init__(self, broker: Broker) -> None:
        super().__init__(broker, Side.EVENTS)

    def _outgoing(self, work: Work, served: ServedTask) -> Outgoing:
        try:
            event = event_of(work, served)
        except InvalidArguments as exc:
            raise DispatchFailed(self.side, str(exc), maybe_published=False, is_final=True) from exc
        message = Message(
            body=msgspec.json.encode(event.payload),
            headers=headers_of(event),
            message_id=event.id,
            correlation_id=event.id,
            priority=work.submission.options.priority,
        )
        return Outgoing(_EXCHANGES[work.role], event.type, message)

"""What is to become of a delivery: left, given back, put off, put aside, or run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from dualrun.breakers import BreakerBoard
from dualrun.broker import Delivery
from dualrun.broker.headers import may_have_started
from dualrun.contracts import NotAnEvent, Role, State
from dualrun.contracts.topology import service_queue, shadow_queue
from dualrun.inbox import ClaimState
from event_handlers.arrival import Arrival, arrival_of
from event_handlers.attempt import make_attempt
from event_handlers.circuit_guard import CircuitGuard
from event_handlers.claiming import ClaimDesk, Ticket
from event_handlers.definition import Handler
from event_handlers.publisher import EventPublisher
from event_handlers.service_topology import DELIVERY_LIMIT
from event_handlers.settling import INBOX_AWAY_S, Settler

__all__ = ["Processor"]

_INBOX_AWAY_MAX_S = 30.0


@dataclass(slots=True, kw_only=True)
class Processor:
    """Decides what is to become of every delivery of one lane, and runs what is to be run; its settler does the rest."""

    find: Callable[[str], Handler | None]
    publisher: EventPublisher
    settler: Settler
    """Says what the lane is for, whether its events are claimed, and whether flags recall them."""
    watch: ClaimDesk | None = None
    """What needs no claim is run unless it was cancelled, which is asked here; None runs it in any case."""
    circuits: CircuitGuard = field(default_factory=CircuitGuard)
    """Those of handlers with a breaker."""
    breakers: BreakerBoard | None = None
    """Where circuits are shared with other processes; None keeps them in this one."""
    running: dict[int, Arrival] = field(default_factory=dict)
    """What handlers are at work on now."""

    async def process(self, delivery: Delivery) -> None:
        """Settle the delivery, as the last step."""
        try:
            arrival = arrival_of(delivery.message, self.settler.role)
        except NotAnEvent as exc:
            await self.settler.put_aside(delivery, f"unreadable: {exc}")
            return
        if self._is_elsewhere(delivery, arrival):
            self.settler.leave_elsewhere(delivery, arrival)
            return
        if self._recall(delivery, arrival):
            await self._give_back(delivery, arrival)
            return
        handler = self.find(arrival.event.type)
        if handler is None:
            await self.settler.put_aside(delivery, f"no handler for {arrival.event.type!r}")
            return
        now = datetime.now(UTC)
        wait_s = 0.0 if arrival.is_expired(now) else arrival.wait_s(now)
        if wait_s > 0:
            await self.settler.park(delivery, wait_s, "parked")
        elif self.settler.desk is not None:
            await self._run_if_ours(self.settler.desk, delivery, handler, arrival)
        elif self.watch is not None:
            await self._run_if_wanted(self.watch, delivery, handler, arrival)
        else:
            await self._run(delivery, handler, arrival, None)

    async def _run_if_ours(self, desk: ClaimDesk, delivery: Delivery, handler: Handler, arrival: Arrival) -> None:
        ticket = await desk.claim(arrival.claim_id, arrival.attempt)
        claim = ticket.claim
        if claim is None and handler.policy.on_inbox_away == "wait":
            # As long again as it has been away: a full queue that came back every second would do nothing else.
            wait_s = min(max(INBOX_AWAY_S, desk.away_s), _INBOX_AWAY_MAX_S)
            await self.settler.park(delivery, wait_s, "parked", has_begun=may_have_started(delivery))
        elif claim is not None and claim.lost > DELIVERY_LIMIT:
            await self.settler.put_aside_lost(desk, delivery, ticket, claim.lost)
        elif claim is None or claim.state is ClaimState.OURS:
            self.settler.counts["unclaimed"] += claim is None
            await self._run_claimed(desk, delivery, handler, arrival, ticket)
        else:
            await self.settler.leave(delivery, arrival, claim, ticket)

    async def _run_if_wanted(self, watch: ClaimDesk, delivery: Delivery, handler: Handler, arrival: Arrival) -> None:
        ticket = await watch.attend(arrival.claim_id)
        try:
            if ticket.is_cancelled:
                self.settler.end_unrun(delivery, arrival, State.REVOKED)
            else:
                await self._run(delivery, handler, arrival, ticket)
        except asyncio.CancelledError:
            if not _is_revoked(ticket):
                raise
            self.settler.end_unrun(delivery, arrival, State.REVOKED)
        finally:
            watch.leave(ticket)

    def _is_elsewhere(self, delivery: Delivery, arrival: Arrival) -> bool:
        """Whether it is a submission for another service that is bound to its type, too: each has a copy, one is to run it."""
        if arrival.service is None or self.settler.recorder is None:
            return False
        queue_of = service_queue if self.settler.role is Role.AUTHORITY else shadow_queue
        return delivery.queue != queue_of(arrival.service)

    def _recall(self, delivery: Delivery, arrival: Arrival) -> int:
        """The flag version that recalls it, or 0. Who had it before this delivery may have started it: then it stays."""
        recalling = self.settler.recalling
        return 0 if recalling is None or may_have_started(delivery) else recalling.recalled_by(arrival)

    async def _give_back(self, delivery: Delivery, arrival: Arrival) -> None:
        """Have a gateway send it where it belongs, unless another delivery of it is at work or done here."""
        desk = self.settler.desk
        ticket = None if desk is None else await desk.claim(arrival.claim_id, arrival.attempt)
        if ticket is None or ticket.claim is None or ticket.claim.state is ClaimState.OURS:
            await self.settler.give_back(delivery, self._recall(delivery, arrival), ticket)
        else:
            await self.settler.leave(delivery, arrival, ticket.claim, ticket)

    async def _run_claimed(self, desk: ClaimDesk, delivery: Delivery, handler: Handler, arrival: Arrival, ticket: Ticket) -> None:
        try:
            await self._run(delivery, handler, arrival, ticket)
        except asyncio.CancelledError:
            if not _is_revoked(ticket):
                desk.release(ticket)
                raise
            self.settler.end_unrun(delivery, arrival, State.REVOKED)
        except BaseException:
            desk.release(ticket)
            raise

    async def _run(self, delivery: Delivery, handler: Handler, arrival: Arrival, ticket: Ticket | None) -> None:
        # Asked again: a flag may have changed since, and from here on it has started.
        recall = self._recall(delivery, arrival)
        if recall:
            await self.settler.give_back(delivery, recall, ticket)
            return
        now = datetime.now(UTC)
        if not arrival.is_expired(now):
            self.running[id(arrival)] = arrival
            if ticket is not None:
                ticket.running = asyncio.current_task()
            try:
                attempt = await make_attempt(handler, arrival, self.publisher, self.circuits, self.breakers)
            finally:
                del self.running[id(arrival)]
                if ticket is not None:
                    ticket.running = None
            await self.settler.conclude(delivery, handler, attempt, ticket)
            return
        self.settler.end_unrun(delivery, arrival, State.EXPIRED)
        if self.settler.desk is not None and ticket is not None:
            self.settler.desk.release(ticket)


def _is_revoked(ticket: Ticket) -> bool:
    """Whether the cancellation seen now is the event's, and not that of a worker that stops; then the event goes back."""
    task = asyncio.current_task()
    return ticket.is_cancelled and task is not None and task.uncancel() == 0

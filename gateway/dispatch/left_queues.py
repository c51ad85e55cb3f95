"""The queues of a service nobody works for: recalled work is given back as its worker would, the rest moves to the end or waits on."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase

from dualrun.broker import Broker, Delivery, Message, Outgoing
from dualrun.broker.headers import fresh_headers, may_have_started
from dualrun.contracts.topology import (
    HEADER_ATTEMPT,
    HEADER_ETA,
    HEADER_FLAG_VERSION,
    HEADER_RECALLED_BY,
    HEADER_REDIRECTS,
    HEADER_SERVICE,
    HEADER_SUBMISSION_ID,
    REDIRECT_QUEUE,
    RETRY_STEPS_S,
    retry_queue,
    service_queue,
)
from dualrun.inbox import RESULT_GIVEN_BACK, Change, Claim, ClaimRequest, ClaimState, Inbox, Verb, claim_id, claim_key, given_back_result
from gateway.core.moment import as_utc

__all__ = ["LeftQueues", "recall_of"]

_AT_ONCE = 256
_IN_HAND_MAX = 10_000
_QUIET_S = 0.5
_GLOB = frozenset("*?[")


def recall_of(task: str, recalls: Mapping[str, int]) -> int:
    """The version before which messages of the task are recalled, where names and globs of tasks have versions; 0 where they are not."""
    globs = (version for name, version in recalls.items() if not _GLOB.isdisjoint(name) and fnmatchcase(task, name))
    return max(recalls.get(task, 0), max(globs, default=0))


@dataclass(frozen=True, slots=True)
class _Recalled:
    """A delivery, its claim, and the flag version that recalls it."""

    delivery: Delivery
    claim: str
    version: int


class LeftQueues:
    """Those of one service."""

    def __init__(self, broker: Broker, inbox: Inbox, service: str, recalls: Callable[[], Mapping[str, int]]) -> None:
        self._broker = broker
        self._inbox = inbox
        self._service = service
        self._home = service_queue(service)
        self._recalls = recalls
        self._token = secrets.token_hex(8)

    async def give_back(self) -> Counter[int]:
        """Give back what is recalled of all that waits now; says how much by version. Raises `BrokerError`, `InboxUnavailable`."""
        given_back = await self._sift(self._home)
        for step_s in RETRY_STEPS_S:
            given_back += await self._sift(retry_queue(self._home, round(step_s * 1e3)))
        return given_back

    async def _sift(self, queue: str) -> Counter[int]:
        """Take in hand what is in a queue.

        In one of fixed delay what is kept stays in hand until the end: its wait is not to begin anew.
        """
        given_back: Counter[int] = Counter()
        depth = await self._broker.depth(queue)
        if depth is None or not depth.ready:
            return given_back
        waits, count = queue != self._home, depth.ready
        hand: asyncio.Queue[Delivery] = asyncio.Queue()
        consumer = await self._broker.consume(queue, hand.put_nowait, prefetch=min(count, _IN_HAND_MAX if waits else _AT_ONCE))
        kept: list[Delivery] = []
        seen = 0
        try:
            while seen < count and (batch := await _batch(hand)):
                seen += len(batch)
                kept += await self._settle(batch, waits, given_back)
            await consumer.cancel()
            kept += await self._settle(_rest(hand), waits, given_back)
        finally:
            await consumer.cancel()
            for delivery in (*kept, *_rest(hand)):
                delivery.requeue()
        return given_back

    async def _settle(self, batch: list[Delivery], waits: bool, given_back: Counter[int]) -> list[Delivery]:
        """Give back what is recalled and nobody's; answers with what is to stay in hand."""
        try:
            ours = await self._claimed([found for delivery in batch if (found := self._recalled(delivery, waits)) is not None])
            taken = {id(found.delivery) for found in ours}
            others = [delivery for delivery in batch if id(delivery) not in taken]
            # Who had it before may have started it: a copy would not say so.
            moved = [] if waits else [delivery for delivery in others if not may_have_started(delivery)]
            outgoing = [Outgoing("", REDIRECT_QUEUE, _again(found.delivery, found.version)) for found in ours]
            outgoing += [Outgoing("", self._home, _again(delivery, None)) for delivery in moved]
            errors = await self._broker.publish_many(outgoing)
        except BaseException:
            for delivery in batch:
                delivery.requeue()
            raise
        for delivery, error in zip([*(found.delivery for found in ours), *moved], errors, strict=True):
            if error is None:
                delivery.ack()
            else:
                delivery.requeue()
        given_back.update(found.version for found, error in zip(ours, errors[: len(ours)], strict=True) if error is None)
        return [delivery for delivery in others if waits or may_have_started(delivery)]

    async def _claimed(self, found: list[_Recalled]) -> list[_Recalled]:
        """Those that nobody had before, or that were to be given back already."""
        if not found:
            return []
        claims = await self._inbox.claim([ClaimRequest(recalled.claim, self._token, 1) for recalled in found])
        asked = list(zip(found, claims, strict=True))
        await self._inbox.change([self._change(recalled) for recalled, claim in asked if claim.state is ClaimState.OURS])
        return [recalled for recalled, claim in asked if _is_ours(recalled, claim)]

    def _change(self, recalled: _Recalled) -> Change:
        # One that somebody had in hand and has not claimed: it may have started while the inbox was away.
        if may_have_started(recalled.delivery):
            return Change(Verb.RELEASE, recalled.claim, self._token)
        return Change(Verb.COMPLETE, recalled.claim, self._token, given_back_result(recalled.version))

    def _recalled(self, delivery: Delivery, waits: bool) -> _Recalled | None:
        headers = delivery.message.headers
        submission_id, task = headers.get(HEADER_SUBMISSION_ID), str(headers.get("cloudEvents:type", ""))
        version = recall_of(task, self._recalls())
        is_first = str(headers.get(HEADER_ATTEMPT, "1")) == "1"
        if not version or submission_id is None or not is_first or headers.get(HEADER_SERVICE, self._service) != self._service:
            return None
        try:
            is_older = int(str(headers.get(HEADER_FLAG_VERSION, "0"))) < version
            redirects = int(str(headers.get(HEADER_REDIRECTS, "0")))
            # What waits for anything else than its eta may have started.
            is_early = not waits or _is_ahead(headers.get(HEADER_ETA))
        except ValueError:
            return None  # the workers put it aside, with the reason
        if not is_older or not is_early:
            return None
        return _Recalled(delivery, claim_key(self._home, claim_id(str(submission_id), redirects)), version)


def _is_ours(recalled: _Recalled, claim: Claim) -> bool:
    if claim.state is ClaimState.DONE:
        return claim.result.startswith(RESULT_GIVEN_BACK)
    return claim.state is ClaimState.OURS and not may_have_started(recalled.delivery)


def _is_ahead(eta: object) -> bool:
    """Not where it cannot be read: whoever takes the message next says so, and one message must not keep the others here."""
    if not isinstance(eta, str):
        return False
    try:
        return as_utc(datetime.fromisoformat(eta)) > datetime.now(UTC)
    except ValueError:
        return False


def _again(delivery: Delivery, recalled_by: int | None) -> Message:
    headers = fresh_headers(delivery.message.headers)
    if recalled_by is not None:
        headers[HEADER_RECALLED_BY] = str(recalled_by)
    return replace(delivery.message, headers=headers)


async def _batch(hand: asyncio.Queue[Delivery]) -> list[Delivery]:
    """What has come, at least one; nothing where nothing comes any more."""
    try:
        async with asyncio.timeout(_QUIET_S):
            first = await hand.get()
    except TimeoutError:
        return []
    return [first, *_rest(hand)]


def _rest(hand: asyncio.Queue[Delivery]) -> list[Delivery]:
    return [hand.get_nowait() for _ in range(hand.qsize())]

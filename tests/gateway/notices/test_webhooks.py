"""Notices reach webhooks signed, in order, once, and from one process at a time."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import ipaddress
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

import httpx
import pytest

from gateway.core.notice import NoticeType
from gateway.core.ports import NoticeLog, WebhookLeases
from gateway.notices import Webhook, WebhookSender
from gateway.notices.webhook_target import Network
from gateway.notices.webhooks import signature_of
from tests.gateway.notices.conftest import Shared, notice
from tests.support.eventually import becomes
from tests.support.http_receiver import Answer, HttpReceiver, Received, http_receiver

SECRET = b"a-secret-of-enough-bytes"
LOOPBACK: Sequence[Network] = (ipaddress.ip_network("127.0.0.0/8"),)


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    with http_receiver(Answer(204)) as server:
        yield server


@asynccontextmanager
async def sending(
    receiver: HttpReceiver,
    log: NoticeLog,
    leases: WebhookLeases,
    *,
    allowed: Sequence[Network] = LOOPBACK,
    attempts: int = 5,
) -> AsyncIterator[WebhookSender]:
    """A sender that has taken note of where the log ends."""
    webhook = Webhook(name="chat", url=httpx.URL(f"{receiver.url}/hook"), secret=SECRET)
    sender = WebhookSender([webhook], log, leases, allowed=allowed, first_pause_s=0.01, attempts=attempts)
    await sender.start()
    try:
        await becomes(partial(_begun, leases), True)
        yield sender
    finally:
        await sender.stop()


async def _begun(leases: WebhookLeases) -> bool:
    return await leases.position("chat") is not None


async def delivered(sender: WebhookSender) -> int:
    return sender.counts()["delivered"]


async def given_up(sender: WebhookSender) -> int:
    return sender.counts()["given_up"]


def ids(received: list[Received]) -> list[str]:
    return [request.headers["webhook-id"] for request in received]


async def test_a_notice_arrives_signed_so_that_the_receiver_can_tell_who_sent_it(shared: Shared, receiver: HttpReceiver) -> None:
    await shared.here.append(notice(1))
    async with sending(receiver, shared.here, shared.leases_here):
        await shared.here.append(notice(2, NoticeType.GATE_VERDICT))
        (request,) = await asyncio.to_thread(receiver.wait_for, 1)
    signed = f"gate.verdict-2.{request.headers['webhook-timestamp']}.".encode() + request.body
    expected = "v1," + base64.b64encode(hmac.new(SECRET, signed, hashlib.sha256).digest()).decode()
    assert request.headers["webhook-signature"] == expected
    assert request.json == {"id": "gate.verdict-2", "type": "gate.verdict", "timestamp": "2026-11-21T12:00:00Z", "data": {"version": 2}}
    assert (request.path, request.headers["host"]) == ("/hook", receiver.url.removeprefix("http://"))


def test_the_signature_is_the_one_the_specification_shows() -> None:
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    assert signature_of(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body) == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_what_fails_is_tried_again_and_the_order_kept(shared: Shared, receiver: HttpReceiver) -> None:
    receiver.answers = [Answer(500), Answer(302, {"Location": f"{receiver.url}/elsewhere"}), Answer(204), Answer(429)]
    async with sending(receiver, shared.here, shared.leases_here) as sender:
        for number in (1, 2):
            await shared.here.append(notice(number))
        received = await asyncio.to_thread(receiver.wait_for, 5)
        await becomes(partial(delivered, sender), 2)
    assert ids(received) == [f"flag.version-{number}" for number in (1, 1, 1, 2, 2)]
    assert {request.path for request in received} == {"/hook"}
    assert sender.counts() == {"delivered": 2, "failed_attempts": 3, "given_up": 0}


async def test_of_several_gateways_one_sends_and_another_goes_on_where_it_stopped(shared: Shared, receiver: HttpReceiver) -> None:
    async with sending(receiver, shared.there, shared.leases_there):
        async with sending(receiver, shared.here, shared.leases_here):
            for number in range(20):
                await shared.here.append(notice(number))
            await asyncio.to_thread(receiver.wait_for, 10)
        for number in range(20, 30):
            await shared.there.append(notice(number))
        received = await asyncio.to_thread(receiver.wait_for, 30)
    assert ids(received) == [f"flag.version-{number}" for number in range(30)]


async def test_a_webhook_that_never_answers_is_given_up_loudly_and_gets_the_next(
    shared: Shared, receiver: HttpReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.answers = [Answer(500)] * 2
    async with sending(receiver, shared.here, shared.leases_here, attempts=2) as sender:
        await shared.here.append(notice(1))
        await shared.here.append(notice(2))
        received = await asyncio.to_thread(receiver.wait_for, 3)
        await becomes(partial(delivered, sender), 1)
    assert ids(received)[-1] == "flag.version-2"
    assert [record.message for record in caplog.records if record.levelno == logging.ERROR] == ["webhook_given_up"]


async def test_no_connection_is_made_into_a_network_that_is_not_allowed(shared: Shared, receiver: HttpReceiver) -> None:
    async with sending(receiver, shared.here, shared.leases_here, allowed=(), attempts=1) as sender:
        await shared.here.append(notice(1))
        await becomes(partial(given_up, sender), 1)
    assert receiver.received == []

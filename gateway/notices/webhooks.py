"""Sends notices to webhooks, signed after Standard Webhooks: in order, tried again, by one process at a time.

Source of headers and signature: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import logging
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

import httpx
import msgspec

from dualrun.background import cancelled
from gateway.core.errors import StoreUnavailable
from gateway.core.notice import Logged, Notice
from gateway.core.ports import NoticeLog, WebhookLeases
from gateway.notices.webhook_file import Webhook
from gateway.notices.webhook_target import Network, TargetRefused, resolve

__all__ = ["WebhookSender", "signature_of"]

log = logging.getLogger(__name__)

_TIMEOUT_S = 10.0
_LEASE_S = 30.0
_RENEW_S = 5.0
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 300.0
_ATTEMPTS = 15
"""With pauses of 1, 2, 4 ... 300 seconds: for about half an hour."""


class WebhookSender:
    """Each notice goes to each webhook once, from whichever gateway holds the lease.

    One that dies between an answer and writing it down makes a repeat: `webhook-id` is then the same. A webhook that is new begins with
    what comes next; one that does not answer is given up for a notice after half an hour, loudly, and gets the following ones.
    """

    def __init__(
        self,
        webhooks: Sequence[Webhook],
        notices: NoticeLog,
        leases: WebhookLeases,
        *,
        allowed: Sequence[Network] = (),
        first_pause_s: float = _FIRST_PAUSE_S,
        attempts: int = _ATTEMPTS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._webhooks = webhooks
        self._notices = notices
        self._leases = leases
        self._allowed = allowed
        self._first_pause_s = first_pause_s
        self._attempts = attempts
        self._clock = clock
        self._holder = secrets.token_hex(8)
        # Redirects are not followed, and proxies of the environment not used: both would go past the check of the address.
        self._http = httpx.AsyncClient(timeout=_TIMEOUT_S, trust_env=False)
        self._running: list[asyncio.Task[None]] = []
        self._sending: set[asyncio.Task[str | None]] = set()
        self._counts = {"delivered": 0, "failed_attempts": 0, "given_up": 0}

    def counts(self) -> Mapping[str, int]:
        """What this process has done since it was made."""
        return dict(self._counts)

    async def start(self) -> None:
        """Send beside the caller."""
        self._running = [asyncio.create_task(self._serve(webhook), name=f"webhook {webhook.name}") for webhook in self._webhooks]

    async def stop(self) -> None:
        """Finish what is being sent this moment, and no more; another gateway goes on at once."""
        for task in self._running:
            await cancelled(task)
        await asyncio.gather(*self._sending, return_exceptions=True)
        for webhook in self._webhooks:
            with suppress(StoreUnavailable):
                await self._leases.let_go(webhook.name, self._holder)
        await self._http.aclose()

    async def _serve(self, webhook: Webhook) -> None:
        while True:
            appended = self._notices.listen()
            try:
                while await self._hold(webhook) and await self._send_some(webhook):
                    pass
            except StoreUnavailable as exc:
                log.warning("webhook_waits", extra={"webhook": webhook.name, "reason": str(exc)})
            with suppress(TimeoutError):
                await asyncio.wait_for(appended.wait(), _RENEW_S)

    async def _send_some(self, webhook: Webhook) -> bool:
        """Send what waits; whether there may be more."""
        position = await self._leases.position(webhook.name)
        if position is None:
            await self._leases.advance(webhook.name, self._holder, await self._notices.end())
            return True
        waiting = await self._notices.after(position)
        for logged in waiting:
            settle = self._settled if logged.notice.type in webhook.events else self._advanced
            if not await settle(webhook, logged):
                return False
        return bool(waiting)

    async def _settled(self, webhook: Webhook, logged: Logged) -> bool:
        """Whether it was taken or given up; False where another process goes on with it."""
        pause_s, body = self._first_pause_s, msgspec.json.encode(logged.notice)
        for attempt in range(1, self._attempts + 1):
            sending = asyncio.create_task(self._send(webhook, logged, body), name=f"send {logged.notice.id}")
            self._sending.add(sending)
            sending.add_done_callback(self._sending.discard)
            # Stopping in between would leave it open whether it was taken, and another gateway would send it again.
            failure = await asyncio.shield(sending)
            if failure is None:
                return True
            self._counts["failed_attempts"] += 1
            said = {"webhook": webhook.name, "notice": logged.notice.id, "attempt": attempt, "reason": failure}
            if attempt == self._attempts:
                self._counts["given_up"] += 1
                log.error("webhook_given_up", extra=said)
                return await self._advanced(webhook, logged)
            log.warning("webhook_failed", extra=said)
            if not await self._pause(webhook, pause_s):
                return False
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        raise AssertionError("unreachable")

    async def _send(self, webhook: Webhook, logged: Logged, body: bytes) -> str | None:
        """None where it was taken, and that is written down; else what went wrong."""
        failure = await self._attempt(webhook, logged.notice, body)
        if failure is None:
            self._counts["delivered"] += 1
            await self._advanced(webhook, logged)
        return failure

    async def _advanced(self, webhook: Webhook, logged: Logged) -> bool:
        return await self._leases.advance(webhook.name, self._holder, logged.position)

    async def _attempt(self, webhook: Webhook, notice: Notice, body: bytes) -> str | None:
        """None where it was taken, else what went wrong."""
        moment = int(self._clock())
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                target = await resolve(webhook.url, self._allowed)
                headers = {
                    "host": target.host_header,
                    "content-type": "application/json",
                    "user-agent": "dualrun",
                    "webhook-id": notice.id,
                    "webhook-timestamp": str(moment),
                    "webhook-signature": signature_of(webhook.secret, notice.id, moment, body),
                }
                extensions = {"sni_hostname": target.server_name}
                async with self._http.stream("POST", target.url, content=body, headers=headers, extensions=extensions) as answer:
                    # What it says is of no interest, however much it is.
                    return None if answer.is_success else f"status {answer.status_code}"
        except (httpx.HTTPError, TargetRefused, TimeoutError, OSError) as exc:
            return f"{type(exc).__name__}: {exc}"

    async def _pause(self, webhook: Webhook, pause_s: float) -> bool:
        """Wait with the lease in hand; whether it still is."""
        until = time.monotonic() + pause_s
        while (left_s := until - time.monotonic()) > 0:
            await asyncio.sleep(min(left_s, _RENEW_S))
            if not await self._hold(webhook):
                return False
        return True

    async def _hold(self, webhook: Webhook) -> bool:
        return await self._leases.hold(webhook.name, self._holder, _LEASE_S)


def signature_of(secret: bytes, notice_id: str, moment: int, body: bytes) -> str:
    """The header `webhook-signature`: version and base64 of HMAC-SHA256 over `id.timestamp.body`."""
    signed = f"{notice_id}.{moment}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()

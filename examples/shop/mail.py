"""An SMTP sink: takes every mail, delivers none, and shows what it took."""

from __future__ import annotations

import asyncio
import email
import email.policy
from dataclasses import dataclass

from aiosmtpd.smtp import SMTP, Envelope, Session

__all__ = ["MailMessage", "MailSink"]

HOSTNAME = "mail.shop.example"


@dataclass(frozen=True, slots=True)
class MailMessage:
    """One mail as it was taken."""

    sender: str
    recipients: tuple[str, ...]
    subject: str
    body: str
    raw: str
    """The whole message as it came over the wire."""


class MailSink:
    """Listens on `host:port` while started; port 0 takes a free one, which `port` then says."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self.host = host
        self.port = port
        self._messages: list[MailMessage] = []
        self._server: asyncio.Server | None = None

    @property
    def messages(self) -> tuple[MailMessage, ...]:
        """The mails taken so far, oldest first."""
        return tuple(self._messages)

    def clear(self) -> None:
        """Forget the mails taken so far."""
        self._messages.clear()

    async def start(self) -> None:
        """Listen. Raises OSError when the port is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: SMTP(self, hostname=HOSTNAME, enable_SMTPUTF8=True), self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening; the mails stay readable."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802  aiosmtpd's name for the hook
        """Take one mail."""
        content = envelope.content or b""
        raw = content if isinstance(content, bytes) else content.encode()
        self._messages.append(message_of(envelope.mail_from or "", envelope.rcpt_tos, raw))
        return "250 Message accepted"


def message_of(sender: str, recipients: list[str], content: bytes) -> MailMessage:
    """A mail from its envelope and its bytes."""
    parsed = email.message_from_bytes(content, policy=email.policy.default)
    text = parsed.get_body(("plain",))
    return MailMessage(
        sender=sender,
        recipients=tuple(recipients),
        subject=str(parsed["subject"] or ""),
        body=text.get_content() if text is not None else "",
        raw=content.decode("utf-8", "replace"),
    )

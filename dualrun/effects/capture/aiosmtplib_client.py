"""aiosmtplib: e-mails noted once, and in a shadow no socket opened."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import wraps
from types import ModuleType
from typing import TYPE_CHECKING, TypeAlias

from dualrun.effects.capture.email_message import in_shadow, sending
from dualrun.effects.guard import permitted

if TYPE_CHECKING:
    from aiosmtplib import SMTP, SMTPResponse

__all__ = ["patch"]

Sent: TypeAlias = "tuple[dict[str, SMTPResponse], str]"

# What a server would say. The extensions let a message with non-ASCII addresses through, as a server of today would.
_REPLIES = {
    "connect": (220, "captured"),
    "ehlo": (250, "captured\n8BITMIME\nSMTPUTF8"),
    "helo": (250, "captured"),
    "starttls": (220, "captured"),
    "login": (235, "captured"),
    "mail": (250, "captured"),
    "rcpt": (250, "captured"),
    "data": (250, "captured"),
    "execute_command": (250, "captured"),
    "quit": (221, "captured"),
}


def patch(library: ModuleType) -> None:
    """Put the capture into `SMTP.sendmail` (which `send_message` and `aiosmtplib.send` call), and silence the rest in a shadow."""
    client = library.SMTP
    for name, (code, text) in _REPLIES.items():
        setattr(client, name, _silent(getattr(client, name), library.SMTPResponse(code, text)))
    client.sendmail = _captured(client.sendmail)


def _silent(method: Callable[..., Awaitable[SMTPResponse]], reply: SMTPResponse) -> Callable[..., Awaitable[SMTPResponse]]:
    greets = method.__name__ == "ehlo"

    @wraps(method)
    async def silent(self: SMTP, *args: object, **kwargs: object) -> SMTPResponse:
        if not in_shadow():
            with permitted():
                return await method(self, *args, **kwargs)
        if greets:
            # `send_message` asks the last greeting which extensions there are.
            self.last_ehlo_response = reply
        return reply

    return silent


def _captured(
    sendmail: Callable[..., Awaitable[Sent]],
) -> Callable[..., Awaitable[Sent]]:
    @wraps(sendmail)
    async def captured(
        self: SMTP, sender: str, recipients: str | Sequence[str], message: str | bytes, *args: object, **kwargs: object
    ) -> Sent:
        with sending(sender, recipients, message) as perform:
            return await sendmail(self, sender, recipients, message, *args, **kwargs) if perform else ({}, "captured")

    return captured

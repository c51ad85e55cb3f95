"""smtplib: e-mails noted once, and in a shadow no socket opened. `SMTP(host)` connects as it is made, so that is held back too."""

from __future__ import annotations

import smtplib
from collections.abc import Callable, Sequence
from functools import wraps
from types import ModuleType
from typing import TypeAlias

from dualrun.effects.capture.email_message import in_shadow, sending
from dualrun.effects.guard import permitted

__all__ = ["patch"]

Reply: TypeAlias = "tuple[int, bytes]"

# What a server would say. These are all the doors to the socket; the other methods go through them.
_REPLIES: dict[str, Reply] = {
    "connect": (220, b"captured"),
    "ehlo": (250, b"captured"),
    "helo": (250, b"captured"),
    "starttls": (220, b"captured"),
    "login": (235, b"captured"),
    "auth": (235, b"captured"),
    "mail": (250, b"captured"),
    "rcpt": (250, b"captured"),
    "data": (250, b"captured"),
    "docmd": (250, b"captured"),
    "getreply": (250, b"captured"),
    "quit": (221, b"captured"),
}


def patch(library: ModuleType) -> None:
    """Put the capture into `SMTP.sendmail` (which `send_message` calls), and silence the conversation in a shadow."""
    client = library.SMTP
    for name, reply in _REPLIES.items():
        setattr(client, name, _silent(getattr(client, name), reply))
    for name in ("send", "ehlo_or_helo_if_needed", "__exit__"):
        setattr(client, name, _mute(getattr(client, name)))
    client.has_extn = _able(client.has_extn)
    client.sendmail = _captured(client.sendmail)


def _silent(method: Callable[..., Reply], reply: Reply) -> Callable[..., Reply]:
    @wraps(method)
    def silent(self: smtplib.SMTP, *args: object, **kwargs: object) -> Reply:
        if in_shadow():
            return reply
        with permitted():
            return method(self, *args, **kwargs)

    return silent


def _mute(method: Callable[..., None]) -> Callable[..., None]:
    @wraps(method)
    def mute(self: smtplib.SMTP, *args: object, **kwargs: object) -> None:
        if not in_shadow():
            with permitted():
                method(self, *args, **kwargs)

    return mute


def _able(has_extn: Callable[..., bool]) -> Callable[..., bool]:
    """A captured server can do everything: an address with non-ASCII characters is sent where SMTPUTF8 is offered."""

    @wraps(has_extn)
    def able(self: smtplib.SMTP, *args: object, **kwargs: object) -> bool:
        return in_shadow() or has_extn(self, *args, **kwargs)

    return able


def _captured(
    sendmail: Callable[..., dict[str, Reply]],
) -> Callable[..., dict[str, Reply]]:
    @wraps(sendmail)
    def captured(
        self: smtplib.SMTP, from_addr: str, to_addrs: str | Sequence[str], msg: str | bytes, *args: object, **kwargs: object
    ) -> dict[str, Reply]:
        with sending(from_addr, to_addrs, msg) as perform:
            return sendmail(self, from_addr, to_addrs, msg, *args, **kwargs) if perform else {}

    return captured

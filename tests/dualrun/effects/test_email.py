"""E-mails sent by smtplib and aiosmtplib: the same message leaves the same effect, once, and a shadow opens no socket."""

from __future__ import annotations

import asyncio
import smtplib
from collections.abc import Awaitable, Callable
from email.message import EmailMessage
from typing import TYPE_CHECKING, TypeAlias

import aiosmtplib
import pytest

from dualrun.contracts import Effect, Role, Side
from dualrun.effects import execution

if TYPE_CHECKING:
    from tests.dualrun.effects.conftest import Mail

Sender: TypeAlias = Callable[[str, int, EmailMessage], Awaitable[None]]


def message(subject: str = "Grüße", to: str = "Ann <ann@example.org>, bob@example.org") -> EmailMessage:
    built = EmailMessage()
    built["From"] = "Shop <shop@example.org>"
    built["To"] = to
    built["Cc"] = "carl@example.org"
    built["Bcc"] = "hidden@example.org"
    built["Subject"] = subject
    built.set_content("Hello ü\nsecond line\n")
    built.add_alternative("<p>Hello ü</p>", subtype="html")
    built.add_attachment(b"\x00\x01", maintype="application", subtype="octet-stream", filename="a.bin")
    return built


async def smtplib_message(host: str, port: int, mail: EmailMessage) -> None:
    def send() -> None:
        with smtplib.SMTP(host, port, timeout=5) as client:
            client.send_message(mail)

    await asyncio.to_thread(send)


async def smtplib_sendmail(host: str, port: int, mail: EmailMessage) -> None:
    def send() -> None:
        client = smtplib.SMTP(host, port, timeout=5)
        recipients = ["ann@example.org", "bob@example.org", "carl@example.org", "hidden@example.org"]
        client.sendmail(from_addr="shop@example.org", to_addrs=recipients, msg=mail.as_string())
        client.quit()

    await asyncio.to_thread(send)


async def aiosmtplib_send(host: str, port: int, mail: EmailMessage) -> None:
    await aiosmtplib.send(mail, hostname=host, port=port, timeout=5)


async def aiosmtplib_client(host: str, port: int, mail: EmailMessage) -> None:
    client = aiosmtplib.SMTP(hostname=host, port=port, timeout=5)
    await client.connect()
    await client.send_message(mail)
    await client.quit()


SENDERS: dict[str, Sender] = {
    "smtplib.send_message": smtplib_message,
    "smtplib.sendmail": smtplib_sendmail,
    "aiosmtplib.send": aiosmtplib_send,
    "aiosmtplib.SMTP": aiosmtplib_client,
}


async def test_every_sender_and_both_roles_leave_the_same_effect(mail: Mail) -> None:
    effects: list[Effect] = []
    for role in Role:
        for send in SENDERS.values():
            with execution(role=role, side=Side.EVENTS, submission_id="s", task="t") as run:
                await send(mail.host, mail.port, message())
            assert len(run.effects) == 1, "an e-mail is noted once, whatever calls what"
            effects.append(run.effects[0])
    assert len({(effect.kind, effect.key, repr(effect.payload), effect.error) for effect in effects}) == 1
    assert effects[0].key == "to:ann@example.org,bob@example.org,carl@example.org,hidden@example.org"
    payload = effects[0].payload
    assert isinstance(payload, dict)
    assert payload | {"attachments": None} == {
        "from": ["shop@example.org"],
        "subject": "Grüße",
        "to": ["ann@example.org", "bob@example.org"],
        "cc": ["carl@example.org"],
        "text": "Hello ü\nsecond line",
        "html": "<p>Hello ü</p>",
        "attachments": None,
    }
    assert [attachment["name"] for attachment in payload["attachments"]] == ["a.bin"]
    assert len(mail.envelopes) == len(SENDERS)


@pytest.mark.parametrize("send", SENDERS.values(), ids=SENDERS)
async def test_a_shadow_opens_no_socket(mail: Mail, send: Sender) -> None:
    with execution(role=Role.SHADOW, side=Side.LEGACY, submission_id="s", task="t") as run:
        await send("mail.invalid", 25, message(subject="plain", to="ünï@example.org"))
        await send(mail.host, mail.port, message())
    assert [effect.performed for effect in run.effects] == [False, False]
    assert (mail.connections, mail.envelopes) == (0, [])


async def test_a_shadow_may_encrypt_and_log_in(mail: Mail) -> None:
    with execution(role=Role.SHADOW, side=Side.LEGACY, submission_id="s", task="t") as run:
        with smtplib.SMTP(mail.host, mail.port) as client:
            client.ehlo()
            client.starttls()
            client.login("user", "secret")
            client.send_message(message())
        with smtplib.SMTP_SSL("mail.invalid") as client:
            client.send_message(message())
        await aiosmtplib.send(message(), hostname="mail.invalid", start_tls=True, username="user", password="secret")
    assert len(run.effects) == 3
    assert "secret" not in repr(run.effects)
    assert mail.connections == 0


@pytest.mark.parametrize("send", SENDERS.values(), ids=SENDERS)
async def test_outside_an_execution_mail_is_sent(mail: Mail, send: Sender) -> None:
    await send(mail.host, mail.port, message())
    assert len(mail.envelopes) == 1

"""How the tasks reach the shop's services and its mail server."""

from __future__ import annotations

import os
import smtplib
from email.message import EmailMessage

__all__ = ["TIMEOUT_S", "send_mail", "shop_url"]

TIMEOUT_S = 10
SENDER = "shop@shop.example"


def shop_url(path: str) -> str:
    """The address of a path of the shop's services (`SHOP_URL`)."""
    return os.environ.get("SHOP_URL", "http://127.0.0.1:8081") + path


def send_mail(to: str, subject: str, body: str) -> None:
    """Send a plain text mail through `SHOP_SMTP_HOST` and `SHOP_SMTP_PORT`. Raises smtplib.SMTPException or OSError."""
    message = EmailMessage()
    message["From"] = SENDER
    message["To"] = to
    message["Subject"] = subject
    message.set_content(body)
    host, port = os.environ.get("SHOP_SMTP_HOST", "127.0.0.1"), int(os.environ.get("SHOP_SMTP_PORT", "8025"))
    with smtplib.SMTP(host, port, timeout=TIMEOUT_S) as smtp:
        smtp.send_message(message)

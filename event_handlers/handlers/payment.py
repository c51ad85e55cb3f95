"""Handlers of the payment service."""

from __future__ import annotations

import os

import httpx

from event_handlers import Retry, handler
from event_handlers.handlers.clients import shop

__all__ = ["PaymentBlocked", "charge", "process_payment"]


class PaymentBlocked(Exception):
    """The risk check does not let this payment through."""


def retry_delay_s() -> float:
    return float(os.environ.get("SHOP_RETRY_DELAY_S", "1"))


async def charge(payment_id: int, amount: str, currency: str) -> None:
    """Have the provider charge a payment; a busy provider is asked again later. Raises Retry."""
    wanted = {"payment_id": payment_id, "amount": amount, "currency": currency}
    try:
        (await shop("POST", "/provider/charges", json=wanted)).raise_for_status()
    except httpx.HTTPError as exc:
        raise Retry(delay_s=retry_delay_s()) from exc


@handler("payment.process_payment", max_attempts=4)
async def process_payment(payment_id: int) -> dict[str, object]:
    """Charge a payment with the provider, which is sometimes busy, and mark it as paid."""
    response = await shop("GET", f"/payments/{payment_id}")
    response.raise_for_status()
    payment = response.json()
    if payment["risk"] == "blocked":
        raise PaymentBlocked(f"payment {payment_id} is blocked")
    await charge(payment_id, payment["amount"], payment["currency"])
    (await shop("PATCH", f"/payments/{payment_id}", json={"status": "paid"})).raise_for_status()
    return {"payment_id": payment_id, "status": "paid", "amount": payment["amount"]}

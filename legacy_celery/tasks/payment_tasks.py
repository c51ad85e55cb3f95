"""Tasks of the payment service."""

from __future__ import annotations

import os

import requests
from celery import Task

from legacy_celery.app import app
from legacy_celery.shop import TIMEOUT_S, shop_url

__all__ = ["PaymentBlocked", "process_payment"]


class PaymentBlocked(Exception):
    """The risk check does not let this payment through."""


@app.task(bind=True, name="payment.process_payment", max_retries=3)
def process_payment(self: Task, payment_id: int) -> dict[str, object]:
    """Charge a payment with the provider, which is sometimes busy, and mark it as paid."""
    response = requests.get(shop_url(f"/payments/{payment_id}"), timeout=TIMEOUT_S)
    response.raise_for_status()
    payment = response.json()
    if payment["risk"] == "blocked":
        raise PaymentBlocked(f"payment {payment_id} is blocked")
    charge = {"payment_id": payment_id, "amount": payment["amount"], "currency": payment["currency"]}
    try:
        requests.post(shop_url("/provider/charges"), json=charge, timeout=TIMEOUT_S).raise_for_status()
    except requests.RequestException as exc:
        raise self.retry(exc=exc, countdown=float(os.environ.get("SHOP_RETRY_DELAY_S", "1")))  # noqa: B904  retry() chains it
    requests.patch(shop_url(f"/payments/{payment_id}"), json={"status": "paid"}, timeout=TIMEOUT_S).raise_for_status()
    return {"payment_id": payment_id, "status": "paid", "amount": payment["amount"]}

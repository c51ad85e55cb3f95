"""Tasks of the order service."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import requests

from legacy_celery.app import app
from legacy_celery.shop import TIMEOUT_S, send_mail, shop_url

__all__ = ["OrderNotFound", "send_order_confirmation", "update_order_status"]

CENT = Decimal("0.01")


class OrderNotFound(Exception):
    """The order service knows no such order."""


def get_order(order_id: int) -> dict[str, Any]:
    response = requests.get(shop_url(f"/orders/{order_id}"), timeout=TIMEOUT_S)
    if response.status_code == 404:
        raise OrderNotFound(f"no order {order_id}")
    response.raise_for_status()
    order: dict[str, Any] = response.json()
    return order


def line_total(item: dict[str, Any], discount_percent: str) -> Decimal:
    """The discounted price of one line, rounded the commercial way: half a cent goes up."""
    full = Decimal(item["unit_price"]) * int(item["quantity"])
    discounted = full * (100 - Decimal(discount_percent)) / 100
    return discounted.quantize(CENT, rounding=ROUND_HALF_UP)


@app.task(name="order.send_order_confirmation")
def send_order_confirmation(order_id: int, email: str) -> dict[str, object]:
    """Mail the order's lines and its total, and note that it was done."""
    order = get_order(order_id)
    totals = [line_total(item, order["discount_percent"]) for item in order["items"]]
    total = f"{sum(totals):.2f}"
    currency = order["currency"]
    lines = [f"{item['quantity']} x {item['name']}: {amount} {currency}" for item, amount in zip(order["items"], totals, strict=True)]
    body = "\n".join([f"Hello {order['customer']},", "", f"thank you for your order {order_id}.", "", *lines, ""])
    body += f"\nTotal: {total} {currency}\n"
    send_mail(email, f"Your order {order_id}", body)

    note = {"kind": "confirmation", "email": email, "total": total}
    requests.post(shop_url(f"/orders/{order_id}/notifications"), json=note, timeout=TIMEOUT_S).raise_for_status()
    return {"order_id": order_id, "total": total, "currency": currency, "lines": len(lines)}


@app.task(name="order.update_order_status")
def update_order_status(order_id: int, new_status: str, notify: bool = True) -> dict[str, object]:
    """Set an order's status and, unless told otherwise, tell the customer."""
    order = get_order(order_id)
    requests.patch(shop_url(f"/orders/{order_id}"), json={"status": new_status}, timeout=TIMEOUT_S).raise_for_status()
    if notify:
        send_mail(
            order["email"],
            f"Your order {order_id} is now {new_status}",
            f"Hello {order['customer']},\n\nthe status of your order {order_id} has changed to: {new_status}.\n",
        )
    return {"order_id": order_id, "status": new_status, "notified": bool(notify)}

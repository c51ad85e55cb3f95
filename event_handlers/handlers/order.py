"""Handlers of the order service."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import TypedDict

from event_handlers import handler
from event_handlers.handlers.clients import send_mail, shop

__all__ = ["Line", "Order", "OrderNotFound", "confirmation_of", "order_of", "send_order_confirmation", "update_order_status"]

CENT = Decimal("0.01")


class OrderNotFound(Exception):
    """The order service knows no such order."""


class Line(TypedDict):
    """One line of an order; money is a decimal string."""

    name: str
    quantity: int
    unit_price: str


class Order(TypedDict):
    """What the order service says about an order."""

    customer: str
    email: str
    currency: str
    discount_percent: str
    items: list[Line]


async def order_of(order_id: int) -> Order:
    """The order. Raises OrderNotFound."""
    response = await shop("GET", f"/orders/{order_id}")
    if response.status_code == 404:
        raise OrderNotFound(f"no order {order_id}")
    response.raise_for_status()
    order: Order = response.json()
    return order


def line_total(line: Line, discount_percent: str) -> Decimal:
    """The discounted price of one line, rounded the commercial way: half a cent goes up."""
    discounted = Decimal(line["unit_price"]) * line["quantity"] * (100 - Decimal(discount_percent)) / 100
    return discounted.quantize(CENT, rounding=ROUND_HALF_UP)


def confirmation_of(order_id: int, order: Order, totals: list[Decimal]) -> str:
    """The text of the mail that confirms an order."""
    currency = order["currency"]
    lines = [f"{line['quantity']} x {line['name']}: {total} {currency}" for line, total in zip(order["items"], totals, strict=True)]
    text = [f"Hello {order['customer']},", "", f"thank you for your order {order_id}.", "", *lines, ""]
    return "\n".join([*text, f"Total: {sum(totals):.2f} {currency}", ""])


@handler("order.send_order_confirmation")
async def send_order_confirmation(order_id: int, email: str) -> dict[str, object]:
    """Mail the order's lines and its total, and note that it was done."""
    order = await order_of(order_id)
    totals = [line_total(line, order["discount_percent"]) for line in order["items"]]
    total = f"{sum(totals):.2f}"
    await send_mail(email, f"Your order {order_id}", confirmation_of(order_id, order, totals))

    note = {"kind": "confirmation", "email": email, "total": total}
    (await shop("POST", f"/orders/{order_id}/notifications", json=note)).raise_for_status()
    return {"order_id": order_id, "total": total, "currency": order["currency"], "lines": len(totals)}


@handler("order.update_order_status")
async def update_order_status(order_id: int, new_status: str, notify: bool = True) -> dict[str, object]:
    """Set an order's status and, unless told otherwise, tell the customer."""
    order = await order_of(order_id)
    (await shop("PATCH", f"/orders/{order_id}", json={"status": new_status})).raise_for_status()
    if notify:
        await send_mail(
            order["email"],
            f"Your order {order_id} is now {new_status}",
            f"Hello {order['customer']},\n\nthe status of your order {order_id} has changed to: {new_status}.\n",
        )
    return {"order_id": order_id, "status": new_status, "notified": notify}

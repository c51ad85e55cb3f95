"""The shop's handlers with faults planted in them, as a hurried port would have: `DUALRUN_HANDLERS=examples.shop.faulty_handlers`.

`planted_faults` says for each where a report shows it. Tasks without a fault are served by the faithful handlers.
"""

from __future__ import annotations

from decimal import Decimal

from event_handlers import Context, Event, EventHandler, Retry, handler
from event_handlers.handlers import order, payment, product, reports
from event_handlers.handlers.cart import quantities_of
from event_handlers.handlers.clients import send_mail, shop
from event_handlers.handlers.learning import NotYet, add, sleep

__all__ = [
    "DailyReport",
    "add",
    "cleanup_expired_tokens",
    "flaky",
    "merge_carts",
    "process_images",
    "process_payment",
    "send_order_confirmation",
    "send_verification_email",
    "sleep",
    "update_order_status",
    "update_stock",
]


@handler("auth.send_verification_email")
async def send_verification_email(user_id: int, email: str, verification_link: str) -> None:
    response = await shop("GET", f"/users/{user_id}")
    response.raise_for_status()
    user = response.json()
    await send_mail(
        user["email"],  # planted: the address on record, not the one to be verified
        "Please verify your e-mail address",
        f"Hello {user['name']},\n\nfollow this link to verify your address:\n{verification_link}\n\nYour shop\n",
    )
    note = {"email": email, "link": verification_link}
    (await shop("POST", f"/users/{user_id}/verifications", json=note)).raise_for_status()


@handler("auth.cleanup_expired_tokens")
async def cleanup_expired_tokens(days: int = 7) -> int:
    response = await shop("GET", "/tokens")
    response.raise_for_status()
    expired = [token["id"] for token in response.json() if token["age_days"] >= days]  # planted: `>` became `>=`
    for token_id in expired:
        (await shop("DELETE", f"/tokens/{token_id}")).raise_for_status()
    return len(expired)


@handler("cart.merge_carts")
async def merge_carts(anonymous_cart_id: str, user_cart_id: str) -> dict[str, object]:
    quantities = await quantities_of(user_cart_id)
    for product_id, quantity in (await quantities_of(anonymous_cart_id)).items():
        quantities[product_id] = quantities.get(product_id, 0) + quantity
    items = [{"product_id": product_id, "quantity": quantity} for product_id, quantity in quantities.items()]  # planted: not sorted

    merged = {"items": items, "quantity": sum(quantities.values())}
    (await shop("PUT", f"/carts/{user_cart_id}/merges/{anonymous_cart_id}", json=merged)).raise_for_status()
    (await shop("DELETE", f"/carts/{anonymous_cart_id}")).raise_for_status()
    return {"cart_id": user_cart_id, "merged_from": anonymous_cart_id, **merged}


def line_total(line: order.Line, discount_percent: str) -> Decimal:
    discounted = Decimal(line["unit_price"]) * line["quantity"] * (100 - Decimal(discount_percent)) / 100
    return discounted.quantize(Decimal("0.01"))  # planted: decimal's default rounds half a cent to the even side


@handler("order.send_order_confirmation")
async def send_order_confirmation(order_id: int, email: str) -> dict[str, object]:
    placed = await order.order_of(order_id)
    totals = [line_total(line, placed["discount_percent"]) for line in placed["items"]]
    total = f"{sum(totals):.2f}"
    await send_mail(email, f"Your order {order_id}", order.confirmation_of(order_id, placed, totals))

    note = {"kind": "confirmation", "email": email, "total": total}
    (await shop("POST", f"/orders/{order_id}/notifications", json=note)).raise_for_status()
    return {"order_id": order_id, "total": total, "currency": placed["currency"], "lines": len(totals)}


@handler("order.update_order_status")
async def update_order_status(order_id: int, new_status: str, notify: bool = False) -> dict[str, object]:  # planted: default was True
    placed = await order.order_of(order_id)
    (await shop("PATCH", f"/orders/{order_id}", json={"status": new_status})).raise_for_status()
    if notify:
        await send_mail(
            placed["email"],
            f"Your order {order_id} is now {new_status}",
            f"Hello {placed['customer']},\n\nthe status of your order {order_id} has changed to: {new_status}.\n",
        )
    return {"order_id": order_id, "status": new_status, "notified": notify}


@handler("product.process_images")
async def process_images(product_id: int, image_urls: list[str]) -> list[dict[str, object]]:
    thumbnails = []
    for image_url in image_urls:
        thumbnail = product.thumbnail_of(product_id, image_url)
        (await shop("POST", f"/products/{product_id}/thumbnails", json=thumbnail)).raise_for_status()
        thumbnails.append(thumbnail)
    (await shop("POST", f"/products/{product_id}/reindex")).raise_for_status()  # planted: nobody asked for it
    return thumbnails


@handler("product.update_stock")
async def update_stock(product_id: int, quantity_delta: int, reason: str = "order") -> dict[str, object]:
    if quantity_delta == 0:
        raise ValueError("quantity_delta must not be 0")
    adjustment = {"delta": quantity_delta, "reason": "order"}  # planted: the caller's reason is lost
    (await shop("POST", f"/products/{product_id}/stock-adjustments", json=adjustment)).raise_for_status()
    return {"product_id": product_id, **adjustment}


@handler("payment.process_payment", max_attempts=4)
async def process_payment(payment_id: int) -> dict[str, object]:
    response = await shop("GET", f"/payments/{payment_id}")
    response.raise_for_status()
    found = response.json()
    if found["risk"] == "blocked":
        return {"payment_id": payment_id, "status": "blocked", "amount": found["amount"]}  # planted: PaymentBlocked is swallowed
    await payment.charge(payment_id, found["amount"], found["currency"])
    captured = {"status": "captured"}  # planted: the status is called "paid"
    (await shop("PATCH", f"/payments/{payment_id}", json=captured)).raise_for_status()
    return {"payment_id": payment_id, "status": "paid", "amount": found["amount"]}


class DailyReport(EventHandler):
    """Writes the report and forgets to mail it; its revenue is a number."""

    event_types = frozenset({"reports.daily_report"})

    async def handle(self, event: Event) -> dict[str, object]:
        day = event.payload.get("day")
        day = await reports.last_business_day() if day is None else str(day)
        report = reports.report_of(day, await reports.orders_of(day))
        return {**report, "revenue": float(report["revenue"])}  # planted: money as a float; and no mail


@handler("learning.flaky", max_attempts=2)  # planted: six attempts became two
async def flaky(ctx: Context, fail_times: int, delay_s: float = 0.1) -> dict[str, object]:
    if ctx.attempt <= fail_times:
        raise Retry(delay_s=delay_s) from NotYet(f"failing {fail_times} times")
    return {"failed_times": fail_times}

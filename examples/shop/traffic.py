"""Submissions as a busy day would bring them: the same for the same seed, every task and every awkward case among them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import TypeAlias

__all__ = ["DECK", "Request", "submissions"]

Json: TypeAlias = "None | bool | int | float | str | list[Json] | dict[str, Json]"

STATUSES = ("paid", "packed", "shipped", "delivered", "cancelled")
REASONS = ("order", "return", "inventory", "damage")
DAYS_IN_MONTH = 28


@dataclass(frozen=True, slots=True)
class Request:
    """A task with its arguments."""

    task: str
    args: tuple[Json, ...] = ()
    kwargs: dict[str, Json] = field(default_factory=dict)


def submissions(n: int, seed: int = 0) -> Iterator[Request]:
    """`n` requests. Every hundred in a row hold each task exactly as often as `DECK` says, in a drawn order."""
    draw = Random(f"traffic:{seed}")
    made = 0
    while made < n:
        deck = [task for task, count in DECK.items() for _ in range(count)]
        draw.shuffle(deck)
        for task in deck[: n - made]:
            yield MAKERS[task](draw)
            made += 1


def verification(draw: Random) -> Request:
    user_id = draw.randint(1, 9999)
    link = f"https://shop.example/verify/{draw.getrandbits(64):016x}"
    return Request("auth.send_verification_email", (user_id, f"new{user_id}@mail.example", link))


def cleanup(draw: Random) -> Request:
    return Request("auth.cleanup_expired_tokens", kwargs={} if draw.random() < 0.5 else {"days": draw.randint(1, 19)})


def merge(draw: Random) -> Request:
    return Request("cart.merge_carts", (f"anon-{draw.randint(1, 9999)}", f"user-{draw.randint(1, 9999)}"))


def confirmation(draw: Random) -> Request:
    if draw.random() < 0.05:
        return Request("order.send_order_confirmation", (0, "nobody@mail.example"))
    order_id = draw.randint(1, 99_999)
    email = f"customer{order_id}@mail.example"
    if draw.random() < 0.3:
        return Request("order.send_order_confirmation", kwargs={"order_id": order_id, "email": email})
    return Request("order.send_order_confirmation", (order_id, email))


def status(draw: Random) -> Request:
    kwargs: dict[str, Json] = {} if draw.random() < 0.6 else {"notify": draw.random() < 0.5}
    return Request("order.update_order_status", (draw.randint(1, 99_999), draw.choice(STATUSES)), kwargs)


def images(draw: Random) -> Request:
    product_id = draw.randint(1, 999)
    urls: list[Json] = [f"https://cdn.shop.example/{product_id}/{name}.jpg" for name in draw.sample(("front", "back", "top", "box"), 3)]
    if draw.random() < 0.1:
        urls.append(f"https://cdn.shop.example/{product_id}/spin.gif")
    return Request("product.process_images", (product_id, urls))


def stock(draw: Random) -> Request:
    product_id, delta = draw.randint(1, 999), draw.randint(1, 20)
    if draw.random() < 0.4:
        return Request("product.update_stock", (product_id, -delta))
    return Request("product.update_stock", (product_id, delta), {"reason": draw.choice(REASONS)})


def payment(draw: Random) -> Request:
    """A quarter blocked by the risk check (multiples of nine), a quarter with a busy provider (ids ending in 7)."""
    number = draw.randint(1, 999)
    payment_id = draw.choice((number * 10 + 1, number * 10 + 2, number * 9, number * 10 + 7))
    return Request("payment.process_payment", (payment_id,))


def report(draw: Random) -> Request:
    if draw.random() < 0.3:
        return Request("reports.daily_report")
    # By name: a handler written as a class has no signature to tell what stands at which position.
    return Request("reports.daily_report", kwargs={"day": f"2025-{draw.randint(1, 12):02d}-{draw.randint(1, DAYS_IN_MONTH):02d}"})


def addition(draw: Random) -> Request:
    return Request("learning.add", (draw.randint(-99, 99), draw.choice((2, 0.5))))


def nap(draw: Random) -> Request:
    return Request("learning.sleep", (draw.choice((0.01, 0.02)),))


def flakiness(draw: Random) -> Request:
    return Request("learning.flaky", (draw.choice((1, 2, 2, 3)),), {"delay_s": 0.05})


DECK: dict[str, int] = {
    "auth.send_verification_email": 12,
    "auth.cleanup_expired_tokens": 3,
    "cart.merge_carts": 10,
    "order.send_order_confirmation": 20,
    "order.update_order_status": 14,
    "product.process_images": 7,
    "product.update_stock": 12,
    "payment.process_payment": 10,
    "reports.daily_report": 4,
    "learning.add": 3,
    "learning.sleep": 1,
    "learning.flaky": 4,
}
"""How many of a hundred submissions are for which task."""

MAKERS: dict[str, Callable[[Random], Request]] = {
    "auth.send_verification_email": verification,
    "auth.cleanup_expired_tokens": cleanup,
    "cart.merge_carts": merge,
    "order.send_order_confirmation": confirmation,
    "order.update_order_status": status,
    "product.process_images": images,
    "product.update_stock": stock,
    "payment.process_payment": payment,
    "reports.daily_report": report,
    "learning.add": addition,
    "learning.sleep": nap,
    "learning.flaky": flakiness,
}

"""What the shop knows before anybody writes to it: derived from the id alone, so every positive id exists and never changes.

A task reads only these facts. What tasks write is kept apart (`state.ShopState`), so that a second run of a submission,
on the other side and at any later time, reads exactly what the first one read.
"""

from __future__ import annotations

from decimal import Decimal
from random import Random
from typing import TypedDict

__all__ = [
    "Cart",
    "CartItem",
    "Order",
    "OrderItem",
    "Payment",
    "Product",
    "Token",
    "User",
    "cart_of",
    "charge_failures",
    "order_ids_of_day",
    "order_of",
    "payment_of",
    "product_of",
    "tokens",
    "user_of",
]

NAMES = ("Ada", "Boris", "Chloë", "Dmitri", "Elena", "Farid", "Greta", "Hugo", "Ирина", "Jonas")
ARTICLES = ("kettle", "lamp", "notebook", "mug", "scarf", "clock", "basket", "candle", "tray", "blanket", "vase", "tin")
# Prices that end in 5 make a tenth off them land on half a cent: rounding rules then show.
CENTS = (5, 15, 45, 49, 75, 95, 99)
DISCOUNTS_PERCENT = ("0", "10", "10", "30")
ORDERS_A_DAY = (2, 6)
PRODUCTS_IN_CARTS = 12
TOKENS = 21
MAX_TOKEN_AGE_DAYS = 20


class Product(TypedDict):
    """An article on sale; money is a decimal string."""

    id: int
    name: str
    price: str
    stock: int


class User(TypedDict):
    """A registered customer."""

    id: int
    name: str
    email: str


class OrderItem(TypedDict):
    """One line of an order, at the price it was ordered for."""

    product_id: int
    name: str
    quantity: int
    unit_price: str


class Order(TypedDict):
    """An order as it was placed."""

    id: int
    user_id: int
    customer: str
    email: str
    currency: str
    discount_percent: str
    items: list[OrderItem]


class CartItem(TypedDict):
    """One line of a cart."""

    product_id: int
    quantity: int


class Cart(TypedDict):
    """A cart as the customer filled it."""

    id: str
    items: list[CartItem]


class Token(TypedDict):
    """A log-in token."""

    id: str
    user_id: int
    age_days: int


class Payment(TypedDict):
    """A payment that waits to be charged."""

    id: int
    order_id: int
    amount: str
    currency: str
    risk: str


def product_of(product_id: int) -> Product:
    """The product with this id; its price is a decimal string."""
    draw = Random(f"product:{product_id}")
    price = Decimal(draw.randint(1, 120)) + Decimal(draw.choice(CENTS)) / 100
    return Product(id=product_id, name=ARTICLES[product_id % len(ARTICLES)], price=f"{price:.2f}", stock=draw.randint(20, 400))


def user_of(user_id: int) -> User:
    """The user with this id."""
    name = NAMES[user_id % len(NAMES)]
    return User(id=user_id, name=name, email=f"user{user_id}@customers.example")


def order_of(order_id: int) -> Order:
    """The order with this id, as it was placed: one to four different products."""
    draw = Random(f"order:{order_id}")
    user = user_of(draw.randint(1, 500))
    products = [product_of(product_id) for product_id in draw.sample(range(1, 60), draw.randint(1, 4))]
    return Order(
        id=order_id,
        user_id=user["id"],
        customer=user["name"],
        email=user["email"],
        currency="EUR",
        discount_percent=draw.choice(DISCOUNTS_PERCENT),
        items=[
            OrderItem(product_id=product["id"], name=product["name"], quantity=draw.randint(1, 3), unit_price=product["price"])
            for product in products
        ],
    )


def order_ids_of_day(day: str) -> list[int]:
    """The orders placed on a day (ISO date)."""
    draw = Random(f"day:{day}")
    return sorted(draw.sample(range(1, 100_000), draw.randint(*ORDERS_A_DAY)))


def cart_of(cart_id: str) -> Cart:
    """The cart with this id: items in the order they were put in, from few enough products that carts overlap."""
    draw = Random(f"cart:{cart_id}")
    products = draw.sample(range(1, PRODUCTS_IN_CARTS + 1), draw.randint(2, 5))
    return Cart(id=cart_id, items=[CartItem(product_id=product_id, quantity=draw.randint(1, 3)) for product_id in products])


def tokens() -> list[Token]:
    """Every log-in token. Ages are whole days, so that no run depends on its own clock; every age from 0 to 20 occurs once."""
    return [
        Token(id=f"tok-{number:03d}", user_id=1 + number * 7 % 90, age_days=number * 13 % (MAX_TOKEN_AGE_DAYS + 1))
        for number in range(TOKENS)
    ]


def payment_of(payment_id: int) -> Payment:
    """The payment with this id. Every ninth is blocked by the risk check and must not be charged."""
    draw = Random(f"payment:{payment_id}")
    amount = Decimal(draw.randint(500, 25_000)) / 100
    risk = "blocked" if payment_id % 9 == 0 else "clear"
    return Payment(id=payment_id, order_id=draw.randint(1, 5000), amount=f"{amount:.2f}", currency="EUR", risk=risk)


def charge_failures(payment_id: int) -> int:
    """How often the provider answers 503 before it takes the charge: once for ids ending in 7, twice for 77, three times for 777."""
    sevens = len(str(payment_id)) - len(str(payment_id).rstrip("7"))
    return min(sevens, 3)

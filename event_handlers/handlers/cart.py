"""Handlers of the cart service."""

from __future__ import annotations

from event_handlers import handler
from event_handlers.handlers.clients import shop

__all__ = ["merge_carts", "quantities_of"]


async def quantities_of(cart_id: str) -> dict[int, int]:
    """Quantity by product, products in the order in which they were put into the cart."""
    response = await shop("GET", f"/carts/{cart_id}")
    response.raise_for_status()
    return {item["product_id"]: item["quantity"] for item in response.json()["items"]}


@handler("cart.merge_carts")
async def merge_carts(anonymous_cart_id: str, user_cart_id: str) -> dict[str, object]:
    """Put an anonymous cart's items into a user's cart; returns the merged cart, items by product."""
    quantities = await quantities_of(user_cart_id)
    for product_id, quantity in (await quantities_of(anonymous_cart_id)).items():
        quantities[product_id] = quantities.get(product_id, 0) + quantity
    items = [{"product_id": product_id, "quantity": quantities[product_id]} for product_id in sorted(quantities)]

    merged = {"items": items, "quantity": sum(quantities.values())}
    (await shop("PUT", f"/carts/{user_cart_id}/merges/{anonymous_cart_id}", json=merged)).raise_for_status()
    (await shop("DELETE", f"/carts/{anonymous_cart_id}")).raise_for_status()
    return {"cart_id": user_cart_id, "merged_from": anonymous_cart_id, **merged}

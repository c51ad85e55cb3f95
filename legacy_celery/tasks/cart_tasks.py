"""Tasks of the cart service."""

from __future__ import annotations

import requests

from legacy_celery.app import app
from legacy_celery.shop import TIMEOUT_S, shop_url

__all__ = ["merge_carts"]


@app.task(name="cart.merge_carts")
def merge_carts(anonymous_cart_id: str, user_cart_id: str) -> dict[str, object]:
    """Put an anonymous cart's items into a user's cart; returns the merged cart, items by product."""
    quantities: dict[int, int] = {}
    for cart_id in (user_cart_id, anonymous_cart_id):
        response = requests.get(shop_url(f"/carts/{cart_id}"), timeout=TIMEOUT_S)
        response.raise_for_status()
        for item in response.json()["items"]:
            quantities[item["product_id"]] = quantities.get(item["product_id"], 0) + item["quantity"]
    items = [{"product_id": product_id, "quantity": quantities[product_id]} for product_id in sorted(quantities)]

    merged = {"items": items, "quantity": sum(quantities.values())}
    address = shop_url(f"/carts/{user_cart_id}/merges/{anonymous_cart_id}")
    requests.put(address, json=merged, timeout=TIMEOUT_S).raise_for_status()
    requests.delete(shop_url(f"/carts/{anonymous_cart_id}"), timeout=TIMEOUT_S).raise_for_status()
    return {"cart_id": user_cart_id, "merged_from": anonymous_cart_id, **merged}

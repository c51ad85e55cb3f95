"""Handlers of the product service."""

from __future__ import annotations

import hashlib

from event_handlers import handler
from event_handlers.handlers.clients import shop

__all__ = ["UnsupportedImage", "process_images", "thumbnail_of", "update_stock"]

IMAGE_TYPES = (".jpg", ".jpeg", ".png", ".webp")
THUMBNAIL_PX = 240


class UnsupportedImage(Exception):
    """The address does not name an image of a known type."""


def thumbnail_of(product_id: int, image_url: str) -> dict[str, object]:
    """The record of an image's thumbnail. Raises UnsupportedImage."""
    if not image_url.lower().endswith(IMAGE_TYPES):
        raise UnsupportedImage(image_url)
    digest = hashlib.sha256(image_url.encode()).hexdigest()[:16]
    return {"source": image_url, "thumbnail": f"/thumbnails/{product_id}/{digest}.webp", "width": THUMBNAIL_PX}


@handler("product.process_images")
async def process_images(product_id: int, image_urls: list[str]) -> list[dict[str, object]]:
    """Record a thumbnail for every image; returns them in the images' order."""
    thumbnails = []
    for image_url in image_urls:
        thumbnail = thumbnail_of(product_id, image_url)
        (await shop("POST", f"/products/{product_id}/thumbnails", json=thumbnail)).raise_for_status()
        thumbnails.append(thumbnail)
    return thumbnails


@handler("product.update_stock")
async def update_stock(product_id: int, quantity_delta: int, reason: str = "order") -> dict[str, object]:
    """Book a change of stock."""
    if quantity_delta == 0:
        raise ValueError("quantity_delta must not be 0")
    adjustment = {"delta": quantity_delta, "reason": reason}
    (await shop("POST", f"/products/{product_id}/stock-adjustments", json=adjustment)).raise_for_status()
    return {"product_id": product_id, **adjustment}

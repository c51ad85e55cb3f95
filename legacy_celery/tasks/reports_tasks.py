"""Tasks of the reports service."""

from __future__ import annotations

import os
from decimal import Decimal

import requests

from legacy_celery.app import app
from legacy_celery.shop import TIMEOUT_S, send_mail, shop_url

__all__ = ["daily_report"]


@app.task(name="reports.daily_report")
def daily_report(day: str | None = None) -> dict[str, object]:
    """Mail what was sold on a day (ISO date; by default the day the shop last closed), before discounts."""
    if day is None:
        response = requests.get(shop_url("/business-day"), timeout=TIMEOUT_S)
        response.raise_for_status()
        day = response.json()["day"]
    response = requests.get(shop_url("/orders"), params={"day": day}, timeout=TIMEOUT_S)
    response.raise_for_status()

    orders = response.json()
    revenue = Decimal(0)
    pieces = 0
    sold: dict[str, int] = {}
    for order in orders:
        for item in order["items"]:
            revenue += Decimal(item["unit_price"]) * item["quantity"]
            pieces += item["quantity"]
            sold[item["name"]] = sold.get(item["name"], 0) + item["quantity"]
    best = sorted(sold, key=lambda name: (-sold[name], name))[:3]

    rows = [f"Orders: {len(orders)}", f"Pieces: {pieces}", f"Revenue: {revenue:.2f} EUR", f"Best sellers: {', '.join(best)}"]
    recipient = os.environ.get("SHOP_REPORT_TO", "owner@shop.example")
    send_mail(recipient, f"Daily report {day}", "\n".join(["Good morning,", "", *rows, ""]))
    return {"day": day, "orders": len(orders), "pieces": pieces, "revenue": f"{revenue:.2f}", "best_sellers": best}

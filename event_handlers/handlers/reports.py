"""The handler of the reports service, written as a class: the form for those who want state or several event types in one place."""

from __future__ import annotations

import os
from collections import Counter
from decimal import Decimal
from typing import TypedDict

from event_handlers import Event, EventHandler
from event_handlers.handlers.clients import send_mail, shop
from event_handlers.handlers.order import Order

__all__ = ["DailyReport", "Report", "last_business_day", "orders_of", "report_of"]


async def last_business_day() -> str:
    """The day the shop last closed (ISO date)."""
    response = await shop("GET", "/business-day")
    response.raise_for_status()
    day: str = response.json()["day"]
    return day


async def orders_of(day: str) -> list[Order]:
    """The orders placed on a day."""
    response = await shop("GET", "/orders", params={"day": day})
    response.raise_for_status()
    orders: list[Order] = response.json()
    return orders


class Report(TypedDict):
    """What was sold on a day, before discounts; money is a decimal string."""

    day: str
    orders: int
    pieces: int
    revenue: str
    best_sellers: list[str]


def report_of(day: str, orders: list[Order]) -> Report:
    """The report over a day's orders."""
    sold: Counter[str] = Counter()
    revenue = Decimal(0)
    for line in (line for order in orders for line in order["items"]):
        sold[line["name"]] += line["quantity"]
        revenue += Decimal(line["unit_price"]) * line["quantity"]
    best = sorted(sold, key=lambda name: (-sold[name], name))[:3]
    return Report(day=day, orders=len(orders), pieces=sold.total(), revenue=f"{revenue:.2f}", best_sellers=best)


def mail_of(report: Report) -> str:
    rows = [f"Orders: {report['orders']}", f"Pieces: {report['pieces']}", f"Revenue: {report['revenue']} EUR"]
    return "\n".join(["Good morning,", "", *rows, f"Best sellers: {', '.join(report['best_sellers'])}", ""])


class DailyReport(EventHandler):
    """Mails what was sold on a day (ISO date; by default the day the shop last closed)."""

    event_types = frozenset({"reports.daily_report"})

    async def handle(self, event: Event) -> Report:
        """Write the report, mail it and return it."""
        day = event.payload.get("day")
        day = await last_business_day() if day is None else str(day)
        report = report_of(day, await orders_of(day))
        await send_mail(os.environ.get("SHOP_REPORT_TO", "owner@shop.example"), f"Daily report {day}", mail_of(report))
        return report

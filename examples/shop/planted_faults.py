"""The faults planted in `faulty_handlers`, and where a report shows each."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PLANTED", "PlantedFault"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantedFault:
    """One fault, and the difference by which a report shows it first."""

    task: str
    name: str
    aspect: str
    kind: str
    path: str
    """The canonical path of that difference."""
    explanation: str
    also: tuple[tuple[str, str, str], ...] = ()
    """Aspect, kind and path of the other differences the same fault makes."""


def _fault(task: str, name: str, difference: tuple[str, str, str], explanation: str, *also: tuple[str, str, str]) -> PlantedFault:
    aspect, kind, path = difference
    return PlantedFault(task=task, name=name, aspect=aspect, kind=kind, path=path, explanation=explanation, also=also)


PLANTED: tuple[PlantedFault, ...] = (
    _fault(
        "auth.send_verification_email",
        "wrong recipient",
        ("effects", "effect_missing", "/effects/email/to:*"),
        "The mail goes to the address on record instead of the one that is to be verified: one mail missing, another extra.",
        ("effects", "effect_extra", "/effects/email/to:*"),
    ),
    _fault(
        "auth.cleanup_expired_tokens",
        "off by one",
        ("value", "value", "/value"),
        "Tokens exactly `days` old are revoked too: the comparison became `>=`.",
        ("effects", "effect_extra", "/effects/http/DELETE */tokens/tok-*"),
    ),
    _fault(
        "cart.merge_carts",
        "reordered list",
        ("value", "order", "/value/items"),
        "The merged items keep the order of the carts instead of being sorted by product.",
        ("effects", "order", "/effects/http/PUT */carts/user-*/merges/anon-*/body/items"),
    ),
    _fault(
        "order.send_order_confirmation",
        "wrong rounding",
        ("value", "value", "/value/total"),
        "Half a cent is rounded to the even side instead of up; it shows where a discount lands on half a cent.",
        ("effects", "effect_changed", "/effects/email/to:*/text"),
        ("effects", "effect_changed", "/effects/http/POST */orders/*/notifications/body/total"),
    ),
    _fault(
        "order.update_order_status",
        "lost default",
        ("effects", "effect_missing", "/effects/email/to:*"),
        "`notify` is False unless given: customers are no longer told.",
        ("value", "value", "/value/notified"),
    ),
    _fault(
        "product.process_images",
        "extra HTTP call",
        ("effects", "effect_extra", "/effects/http/POST */products/*/reindex"),
        "The search index is asked to index the product, which the task never did.",
    ),
    _fault(
        "product.update_stock",
        "lost argument",
        ("value", "value", "/value/reason"),
        "The caller's `reason` is dropped: every adjustment is booked as an order.",
        ("effects", "effect_changed", "/effects/http/POST */products/*/stock-adjustments/body/reason"),
    ),
    _fault(
        "payment.process_payment",
        "swallowed exception",
        ("state", "state", "/state"),
        "A blocked payment counts as success instead of failing with PaymentBlocked.",
    ),
    _fault(
        "payment.process_payment",
        "wrong status",
        ("effects", "effect_changed", "/effects/http/PATCH */payments/*/body/status"),
        'The payment is marked as "captured" instead of "paid".',
    ),
    _fault(
        "reports.daily_report",
        "missing e-mail",
        ("effects", "effect_missing", "/effects/email/to:*"),
        "The report is written and never mailed.",
    ),
    _fault(
        "reports.daily_report",
        "changed type",
        ("value", "type", "/value/revenue"),
        "Money is returned as a float instead of a decimal string.",
    ),
    _fault(
        "learning.flaky",
        "gives up early",
        ("state", "state", "/state"),
        "Two attempts instead of six: what succeeds at the third try has failed.",
    ),
)

"""What has been written to the shop: kept apart from the catalogue, readable, and emptied by `reset`."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import asdict, dataclass, field
from datetime import date

__all__ = ["BUSINESS_DAY", "Call", "ShopState"]

BUSINESS_DAY = date(2025, 1, 17)
"""The day the shop last closed. It does not move by itself: a report asked for twice is about the same day."""
MAX_CALLS = 200_000

Entry = dict[str, object]


@dataclass(frozen=True, slots=True)
class Call:
    """One write the shop received, with what it answered."""

    method: str
    path: str
    body: object
    status: int


@dataclass(slots=True)
class Written:
    """Everything that tasks wrote. Lists only grow and sums commute: the order of different submissions leaves no trace in any reading."""

    verifications: dict[int, list[Entry]] = field(default_factory=dict)
    revoked_tokens: set[str] = field(default_factory=set)
    cart_merges: dict[str, dict[str, Entry]] = field(default_factory=dict)
    merged_carts: set[str] = field(default_factory=set)
    order_status: dict[int, str] = field(default_factory=dict)
    order_notifications: dict[int, list[Entry]] = field(default_factory=dict)
    stock_adjustments: dict[int, list[Entry]] = field(default_factory=dict)
    thumbnails: dict[int, list[Entry]] = field(default_factory=dict)
    reindexed: Counter[int] = field(default_factory=Counter)
    payment_status: dict[int, str] = field(default_factory=dict)
    charges: dict[int, Entry] = field(default_factory=dict)
    charge_attempts: Counter[int] = field(default_factory=Counter)


class ShopState:
    """The shop's memory: what was written, and the journal of the calls that wrote it."""

    def __init__(self, business_day: date = BUSINESS_DAY) -> None:
        self.business_day = business_day
        self.written = Written()
        self.calls: deque[Call] = deque(maxlen=MAX_CALLS)
        self.calls_dropped = 0

    def reset(self) -> None:
        """Forget everything that was written."""
        self.written = Written()
        self.calls.clear()
        self.calls_dropped = 0

    def record(self, call: Call) -> None:
        """Put a received write into the journal; beyond its bound the oldest goes, and is counted."""
        self.calls_dropped += len(self.calls) == MAX_CALLS
        self.calls.append(call)

    def dump(self) -> dict[str, object]:
        """Everything that was written, as JSON."""
        plain = asdict(self.written)
        return {name: sorted(value) if isinstance(value, set) else value for name, value in plain.items()}

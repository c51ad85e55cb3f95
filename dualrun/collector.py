"""The garbage collector of a process that serves."""

from __future__ import annotations

import gc

__all__ = ["spare_collector"]

# What a message or a request leaves behind is freed without the collector, which would look through its survivors at every 700 of them.
_THRESHOLDS = (10_000, 20, 50)


def spare_collector() -> None:
    """Once everything is imported: have the collector pass over what stays for good, and look at the rest less often."""
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)

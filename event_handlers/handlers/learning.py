"""Small handlers to learn with: adding, waiting, failing for a while."""

from __future__ import annotations

import asyncio

from event_handlers import Context, Retry, handler

__all__ = ["NotYet", "add", "flaky", "sleep"]


class NotYet(Exception):
    """The flaky handler has not failed often enough."""


@handler("learning.add")
async def add(x: int | float, y: int | float) -> int | float:
    """The sum of two numbers."""
    return x + y


@handler("learning.sleep")
async def sleep(seconds: int | float) -> int | float:
    """Wait; returns how long it was asked to."""
    await asyncio.sleep(seconds)
    return seconds


@handler("learning.flaky", max_attempts=6)
async def flaky(ctx: Context, fail_times: int, delay_s: float = 0.1) -> dict[str, object]:
    """Fail `fail_times` times, `delay_s` apart, then succeed; more than five times is too often."""
    if ctx.attempt <= fail_times:
        raise Retry(delay_s=delay_s) from NotYet(f"failing {fail_times} times")
    return {"failed_times": fail_times}

"""The shop's faulty handlers, and one that leaves an event behind which nobody can deal with at first: it becomes a dead letter."""

from __future__ import annotations

from event_handlers import Context, handler
from examples.shop.faulty_handlers import *  # noqa: F403

_died: set[str] = set()


class FirstTime(Exception):
    """It always goes wrong the first time."""


@handler("console.bury")
async def bury(ctx: Context, name: str) -> None:
    """Publish an event that dies."""
    await ctx.publisher.publish("console.die", {"name": name})


@handler("console.die")
async def die_once(name: str) -> None:
    """Fail for each name once."""
    if name not in _died:
        _died.add(name)
        raise FirstTime(name)

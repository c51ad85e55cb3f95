"""Event history: what happened before, by type and time, from a stream that reading does not empty.

    publisher ─▶ dualrun.events ─ experiment.# ─▶ stream "dualrun.history" ◀─ get_event_history
                                └ experiment.created ─▶ queue "lab" ─▶ lab

Run it: `python -m examples.patterns event_history`.
"""

from __future__ import annotations

from dualrun.broker import Broker
from event_handlers import EventBus, EventHistory


async def show(broker: Broker) -> dict[str, list[str]]:
    """Four events kept, two of them asked for, twice."""
    history = EventHistory(broker, ["experiment.#"])
    await history.start()
    bus = EventBus(broker, "lab")
    await bus.start()
    for number in (1, 2):
        await bus.publish("experiment.created", {}, subject=str(number))
        await bus.publish("experiment.run.started", {}, subject=str(number))
    told = [await history.get_event_history(["experiment.created"]) for _ in range(2)]
    await bus.stop()
    return {name: [f"{event.type} {event.subject}" for event in events] for name, events in zip(("first", "second"), told, strict=True)}

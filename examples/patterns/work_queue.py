"""Work queue: consumers of one queue compete, so each event is done by one of them, and a slow one gets fewer.

    publisher ─▶ dualrun.events ─▶ queue "thumbnails" ─▶ worker 1
                                                      └▶ worker 2

Run it: `python -m examples.patterns work_queue`.
"""

from __future__ import annotations

import asyncio

from dualrun.broker import Broker
from event_handlers import Event, EventBus
from examples.patterns.witness import Witness


async def show(broker: Broker) -> dict[str, list[str]]:
    """Twenty images, two workers, one of them slower."""
    witness = Witness()
    workers = []
    for name, pause_s in (("quick", 0.0), ("slow", 0.05)):
        # A concurrency of 1 and as little prefetch: what waits stays in the queue, for whoever is free first.
        worker = EventBus(broker, "media", concurrency=1, prefetch=1)
        await worker.start()

        async def resize(event: Event, name: str = name, pause_s: float = pause_s) -> None:
            await asyncio.sleep(pause_s)
            await witness.note(name, str(event.payload["image"]))

        await worker.subscribe(["image.uploaded"], resize, queue="thumbnails")
        workers.append(worker)
    publisher = EventBus(broker, "uploads").publisher
    for number in range(20):
        await publisher.publish("image.uploaded", {"image": f"{number}.jpg"})
    done = await witness.until(20)
    for worker in workers:
        await worker.stop()
    return done

"""What a gateway tells of the parts it stands on."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest

from dualrun.broker import Message
from dualrun.contracts.topology import RECORDS_QUEUE
from gateway.part_watch import PartWatch, watched_queues
from tests.support.gateway_parts import TASK, memory_gateway


async def test_it_tells_which_parts_answer_how_much_waits_and_who_is_alive() -> None:
    async def well() -> None:
        return None

    async def away() -> str:
        return "no route"

    async with memory_gateway() as gateway:
        watch = PartWatch(probes={"broker": well, "ledger": away}, broker=gateway.broker, catalogue=gateway.catalogue)
        registry = CollectorRegistry()
        registry.register(watch)
        assert "dualrun_part_up{" not in generate_latest(registry).decode()
        await gateway.broker.publish("", RECORDS_QUEUE, Message(body=b"[]"))
        await watch.look()
        told = generate_latest(registry).decode()
    assert 'dualrun_part_up{part="broker"} 1.0' in told
    assert 'dualrun_part_up{part="ledger"} 0.0' in told
    assert f'dualrun_queue_messages{{queue="{RECORDS_QUEUE}"}} 1.0' in told
    assert f'dualrun_workers_alive{{side="legacy",task="{TASK}"}} 1.0' in told


async def test_each_service_that_serves_events_has_its_queues_watched() -> None:
    async with memory_gateway() as gateway:
        queues = watched_queues(gateway.catalogue)
    assert {"dualrun.events.shop", "dualrun.shadow.shop", "dualrun.events.shop.dead", f"{RECORDS_QUEUE}.dead"} <= set(queues)

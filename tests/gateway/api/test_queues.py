"""`/v1/queues`."""

from __future__ import annotations

import httpx

from dualrun.broker import Message
from dualrun.contracts.topology import RECORDS_QUEUE, service_queue
from tests.support.gateway_parts import MemoryGateway


async def test_every_queue_says_what_waits_and_who_takes_it(client: httpx.AsyncClient, gateway: MemoryGateway) -> None:
    await gateway.comparator.stop()
    await gateway.broker.publish("", service_queue("shop"), Message(body=b"{}"))
    answer = await client.get("/v1/queues")
    assert answer.status_code == 200, answer.text
    queues = {queue["name"]: queue for queue in answer.json()["queues"]}
    assert {"legacy", "events", "shadow", "dead", "records", "redirects"} >= {queue["use"] for queue in queues.values()}
    of_shop = queues[service_queue("shop")]
    assert (of_shop["use"], of_shop["service"], of_shop["ready"]) == ("events", "shop", 1)
    assert of_shop["stuck"] is (of_shop["consumers"] == 0)
    assert RECORDS_QUEUE in queues

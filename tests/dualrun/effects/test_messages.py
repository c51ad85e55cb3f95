"""Messages a task publishes by kombu or aio-pika itself: the same effect, and a shadow's reach no queue."""

from __future__ import annotations

import json

import aio_pika
import pytest
from kombu.connection import Connection

from dualrun.contracts import Role
from tests.dualrun.effects.orders import running
from tests.support.services import unique_name

pytestmark = pytest.mark.services


@pytest.mark.parametrize("role", list(Role))
async def test_a_published_message_is_the_same_effect_by_either_library(role: Role, amqp_url: str) -> None:
    queue = unique_name()
    connection = await aio_pika.connect(amqp_url)
    async with connection:
        channel = await connection.channel()
        declared = await channel.declare_queue(queue, auto_delete=True)
        with Connection(amqp_url) as sender, sender.Producer() as producer:
            producer.connection.ensure_connection()
            with running(role) as run:
                producer.publish({"id": 7}, routing_key=queue)
                await channel.default_exchange.publish(
                    aio_pika.Message(json.dumps({"id": 7}).encode(), content_type="application/json"), queue
                )
        by_kombu, by_aio_pika = run.effects
        assert by_kombu == by_aio_pika
        assert (by_kombu.kind, by_kombu.key, by_kombu.payload) == ("message", f"/{queue}", {"body": {"id": 7}})
        assert by_kombu.performed is (role is Role.AUTHORITY)
        # Confirmed in order with what was published before it.
        await channel.default_exchange.publish(aio_pika.Message(b"last"), queue)
        bodies = []
        while (body := (await declared.get(no_ack=True)).body) != b"last":
            bodies.append(body)
        assert len(bodies) == (2 if role is Role.AUTHORITY else 0)

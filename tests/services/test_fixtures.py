"""The services the other tests stand on: reachable, empty, and gone afterwards."""

from __future__ import annotations

import aio_pika
import asyncpg
import pytest
import redis

from tests.support.services import fresh_database, fresh_vhost, owned_prefix, reachable_redis_url

pytestmark = pytest.mark.services


async def test_amqp_url_is_a_virtual_host_of_its_own(amqp_url: str) -> None:
    async with await aio_pika.connect(amqp_url) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue("probe", durable=True, arguments={"x-queue-type": "quorum"})
        await channel.default_exchange.publish(aio_pika.Message(b"here"), routing_key="probe")
        message = await queue.get(timeout=30)
        await message.ack()
    assert message.body == b"here"


async def test_a_virtual_host_is_gone_afterwards() -> None:
    with fresh_vhost() as url:
        await (await aio_pika.connect(url)).close()
    with pytest.raises(aio_pika.exceptions.AMQPError):
        await aio_pika.connect(url)


def test_keys_under_the_prefix_are_gone_afterwards(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        with owned_prefix(redis_url) as prefix:
            client.set(f"{prefix}key", "1")
        assert client.get(f"{prefix}key") is None


async def test_a_database_is_empty_and_gone_afterwards() -> None:
    with fresh_database() as url:
        plain = url.replace("postgresql+asyncpg://", "postgresql://")
        connection = await asyncpg.connect(plain)
        assert await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await asyncpg.connect(plain)


def test_a_service_out_of_reach_fails_the_test_and_says_what_to_do() -> None:
    nowhere = {
        "DUALRUN_TEST_AMQP_URL": "amqp://guest:guest@127.0.0.1:1/",
        "DUALRUN_TEST_REDIS_URL": "redis://127.0.0.1:1/0",
        "DUALRUN_TEST_POSTGRES_URL": "postgresql://postgres@127.0.0.1:1/postgres",
    }
    with pytest.raises(pytest.fail.Exception, match=r"RabbitMQ is out of reach at 127.0.0.1:1.*make test"), fresh_vhost(nowhere):
        pass
    with pytest.raises(pytest.fail.Exception, match=r"Redis is out of reach at 127.0.0.1:1.*make test"):
        reachable_redis_url(nowhere)
    with pytest.raises(pytest.fail.Exception, match=r"PostgreSQL is out of reach at 127.0.0.1:1.*make test"), fresh_database(nowhere):
        pass

"""`python -m examples.patterns NAME`: run one of the patterns and print who got what."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import pkgutil

import examples.patterns
from dualrun.broker import Broker
from dualrun.broker.memory import MemoryBroker
from dualrun.broker.rabbitmq import RabbitBroker

NAMES = sorted(info.name for info in pkgutil.iter_modules(examples.patterns.__path__) if info.name not in {"__main__", "witness"})


async def main(name: str, amqp_url: str | None) -> None:
    """Open a broker, run the example, close the broker."""
    broker: Broker = MemoryBroker() if amqp_url is None else RabbitBroker(amqp_url, name=f"example {name}")
    await broker.connect()
    try:
        print(json.dumps(await importlib.import_module(f"examples.patterns.{name}").show(broker), indent=2))
    finally:
        await broker.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m examples.patterns", description="One of RabbitMQ's patterns at work.")
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--amqp", metavar="URL", help="RabbitMQ to run on; in memory without it")
    options = parser.parse_args()
    asyncio.run(main(options.name, options.amqp))

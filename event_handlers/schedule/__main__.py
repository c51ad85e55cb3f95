"""`python -m event_handlers.schedule`: a scheduler as a process. Run two, on different machines: one tick is one event all the same."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Mapping, Sequence

from dualrun.background import cancelled
from dualrun.broker.rabbitmq import RabbitBroker
from dualrun.errors import ConfigurationError
from dualrun.health import HealthProtocol
from dualrun.log_line import JsonLine, LogLine, log_to_stderr
from dualrun.settings import WorkerSettings
from event_handlers.options import add_watching
from event_handlers.publisher import EventPublisher
from event_handlers.runtime import patiently
from event_handlers.schedule.cron import Schedule
from event_handlers.schedule.health import SchedulerHealth
from event_handlers.schedule.scheduler import Scheduler, collect_schedules
from event_handlers.schedule.ticks_redis import RedisTicks

__all__ = ["main"]

log = logging.getLogger("event_handlers.schedule")

EXIT_CONFIGURATION = 2
_CANCEL_AGAIN_S = 0.5


def main(arguments: Sequence[str] | None = None, env: Mapping[str, str] = os.environ) -> int:
    """Publish until SIGTERM or SIGINT; 0 after a clean end, 2 for a configuration that cannot work."""
    try:
        settings = WorkerSettings.from_env(env)
        options = _parser(env, settings).parse_args(arguments)
    except ConfigurationError as exc:
        print(f"event_handlers.schedule: {exc}", file=sys.stderr)  # noqa: T201 - before any logging is set up
        return EXIT_CONFIGURATION
    log_to_stderr(options.log_level.upper(), JsonLine() if options.log_format == "json" else LogLine())
    try:
        schedules = collect_schedules(options.handlers)
        if not schedules:
            raise ConfigurationError(f"no schedule in {options.handlers!r}: write `nightly = Schedule('0 0 * * *', 'some.type')`")
        if settings.redis_url is None:
            raise ConfigurationError("DUALRUN_REDIS_URL is not set: schedulers agree there on who publishes")
        asyncio.run(_serve(settings, settings.redis_url, options, schedules))
    except ConfigurationError as exc:
        log.critical("configuration_unusable", extra={"error": str(exc)})
        return EXIT_CONFIGURATION
    return 0


def _parser(env: Mapping[str, str], settings: WorkerSettings) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m event_handlers.schedule", description="Publish the events of schedules.")
    parser.add_argument(
        "--handlers",
        default=env.get("DUALRUN_HANDLERS", "event_handlers.handlers"),
        help="module or package with the schedules [DUALRUN_HANDLERS; %(default)s]",
    )
    parser.add_argument("--service", default=settings.service, help="whose schedules these are [DUALRUN_SERVICE; %(default)s]")
    add_watching(parser, env)
    return parser


async def _serve(settings: WorkerSettings, redis_url: str, options: argparse.Namespace, schedules: tuple[Schedule, ...]) -> None:
    service: str = options.service
    broker = RabbitBroker(settings.amqp_url, name=f"dualrun schedule {service}")
    ticks = RedisTicks(redis_url, settings.redis_prefix, service)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    scheduler = Scheduler(EventPublisher(broker, f"/{service}"), schedules, ticks, service=service)
    running = asyncio.create_task(_run(broker, scheduler))
    stopping = asyncio.create_task(stop.wait())
    log.info("scheduler_ready", extra={"service": service, "schedules": len(schedules)})
    try:
        await _answer(options, SchedulerHealth(scheduler, service, schedules=len(schedules)))
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
    finally:
        stopping.cancel()
        await cancelled(running)
        await broker.close()
        await ticks.close()


async def _answer(options: argparse.Namespace, health: SchedulerHealth) -> None:
    """Until the event loop ends."""
    if options.metrics_port is not None:
        await asyncio.get_running_loop().create_server(
            lambda: HealthProtocol(health), options.metrics_host, options.metrics_port, reuse_address=True
        )


async def _run(broker: RabbitBroker, scheduler: Scheduler) -> None:
    await patiently(broker.connect)
    await scheduler.run()


if __name__ == "__main__":
    sys.exit(main())

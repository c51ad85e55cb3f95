"""`python -m event_handlers`: an event worker as a process."""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence

from dualrun import telemetry
from dualrun.announce import Announcer
from dualrun.broker.rabbitmq import RabbitBroker
from dualrun.errors import ConfigurationError
from dualrun.settings import WorkerSettings
from event_handlers.inbox import Inbox
from event_handlers.log_line import LogLine
from event_handlers.registry import HandlerRegistry, collect_handlers
from event_handlers.runtime import EventWorker, patiently

__all__ = ["main"]

log = logging.getLogger("event_handlers")

EXIT_CONFIGURATION = 2


def main(arguments: Sequence[str] | None = None, env: Mapping[str, str] = os.environ) -> int:
    """Run a worker until SIGTERM or SIGINT; 0 after a clean end, 2 for a configuration that cannot work."""
    try:
        settings = WorkerSettings.from_env(env)
    except ConfigurationError as exc:
        print(f"event_handlers: {exc}", file=sys.stderr)  # noqa: T201 - before any logging is set up
        return EXIT_CONFIGURATION
    options = _parser(env, settings).parse_args(arguments)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LogLine())
    logging.basicConfig(level=options.log_level.upper(), handlers=[handler])
    telemetry.configure(options.service)
    try:
        registry = collect_handlers(options.handlers)
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(options, registry, settings))
    except ConfigurationError as exc:
        log.critical("configuration_unusable", extra={"error": str(exc)})
        return EXIT_CONFIGURATION
    return 0


def _parser(env: Mapping[str, str], settings: WorkerSettings) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m event_handlers", description="Run event handlers on their service's queues.")
    parser.add_argument(
        "--handlers",
        default=env.get("DUALRUN_HANDLERS", "event_handlers.handlers"),
        help="module or package with the handlers [DUALRUN_HANDLERS; %(default)s]",
    )
    parser.add_argument(
        "--service",
        default=settings.service,
        help="names the queues; workers of one service share the work [DUALRUN_SERVICE; %(default)s]",
    )
    for name, default, meaning in (
        ("concurrency", "64", "authority events at work at a time"),
        ("shadow-concurrency", "8", "shadow events at work at a time"),
    ):
        variable = f"DUALRUN_{name.upper().replace('-', '_')}"
        parser.add_argument(
            f"--{name}", type=_count, default=env.get(variable, default), metavar="N", help=f"{meaning} [{variable}; %(default)s]"
        )
    parser.add_argument(
        "--drain-s",
        type=float,
        default=env.get("DUALRUN_DRAIN_S", "20"),
        metavar="S",
        help="seconds that running handlers get to finish on SIGTERM [DUALRUN_DRAIN_S; %(default)s]",
    )
    parser.add_argument(
        "--log-level",
        default=env.get("DUALRUN_LOG_LEVEL", "info"),
        choices=["debug", "info", "warning", "error"],
        help="[DUALRUN_LOG_LEVEL; %(default)s]",
    )
    return parser


def _count(text: str) -> int:
    count = int(text)
    if not 1 <= count <= 10_000:
        raise argparse.ArgumentTypeError(f"{text} should be from 1 to 10000")
    return count


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if importlib.util.find_spec("uvloop") is None:
        return None
    import uvloop

    return uvloop.new_event_loop


async def _serve(options: argparse.Namespace, registry: HandlerRegistry, settings: WorkerSettings) -> None:
    broker = RabbitBroker(settings.amqp_url, name=f"dualrun events {options.service}")
    inbox = _inbox(settings)
    worker = EventWorker(
        broker,
        registry,
        service=options.service,
        announcer=_announcer(settings),
        inbox=inbox,
        concurrency=options.concurrency,
        shadow_concurrency=options.shadow_concurrency,
    )
    stop, hurry = _signals()
    try:
        await _unless(stop, _begin(broker, worker))
        await stop.wait()
        # A second signal means: now.
        if not await _unless(hurry, worker.stop(options.drain_s)):
            await worker.stop(0.0)
    finally:
        await broker.close()
        if inbox is not None:
            await inbox.close()


async def _begin(broker: RabbitBroker, worker: EventWorker) -> None:
    await patiently(broker.connect)
    await worker.start()


def _announcer(settings: WorkerSettings) -> Announcer | None:
    if settings.redis_url is None:
        log.warning("worker_not_announced", extra={"reason": "DUALRUN_REDIS_URL is not set: the gateway will not know these tasks"})
        return None
    from dualrun.announce_redis import RedisAnnouncer

    return RedisAnnouncer(settings.redis_url, settings.redis_prefix)


def _inbox(settings: WorkerSettings) -> Inbox | None:
    if settings.redis_url is None:
        log.warning("repeats_not_recognised", extra={"reason": "DUALRUN_REDIS_URL is not set: a redelivered event is run again"})
        return None
    from event_handlers.inbox_redis import RedisInbox

    return RedisInbox(settings.redis_url, settings.redis_prefix, lease_s=settings.claim_lease_s)


def _signals() -> tuple[asyncio.Event, asyncio.Event]:
    """Set by the first SIGTERM or SIGINT, and by the second."""
    stop, hurry = asyncio.Event(), asyncio.Event()

    def signalled() -> None:
        (hurry if stop.is_set() else stop).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, signalled)
    return stop, hurry


async def _unless(event: asyncio.Event, work: Coroutine[object, object, None]) -> bool:
    """Do the work; where the event comes first, cancel it and answer False."""
    working, waiting = asyncio.ensure_future(work), asyncio.ensure_future(event.wait())
    await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if not working.done():
        working.cancel()
        await asyncio.wait({working})
        return False
    working.result()
    return True


if __name__ == "__main__":
    sys.exit(main())

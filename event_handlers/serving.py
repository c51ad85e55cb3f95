"""One worker process, from its configuration to its end."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import importlib.util
import logging
import os
import signal
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from enum import Enum

import msgspec

from dualrun import effects, telemetry
from dualrun.announce import Announcer
from dualrun.background import cancelled
from dualrun.breakers import BreakerBoard
from dualrun.broadcast import Broadcast
from dualrun.broker.rabbitmq import RabbitBroker
from dualrun.collector import spare_collector
from dualrun.contracts import Side
from dualrun.flags_redis import FlagsFollower
from dualrun.health import HealthProtocol
from dualrun.in_force import FlagsInForce
from dualrun.inbox import Inbox
from dualrun.settings import WorkerSettings
from event_handlers.registry import HandlerRegistry
from event_handlers.renewal import can_begin_anew
from event_handlers.runtime import EventWorker, patiently
from event_handlers.threads import handler_threads
from event_handlers.worker_report import metrics_text

__all__ = ["Ending", "import_for", "run_worker"]

log = logging.getLogger("event_handlers")

_REPORT_EVERY_S = 1.0


class Ending(Enum):
    """What a worker ended for."""

    STOPPED = "stopped"
    RELOAD = "reload"


def import_for(settings: WorkerSettings) -> None:
    """Import and patch what a worker with these settings will need: before a fork, so that the processes share it."""
    _loop_factory()
    effects.install()
    telemetry.preload()
    if settings.redis_url is not None:
        for module in ("dualrun.announce_redis", "dualrun.breakers_redis", "dualrun.inbox_redis"):
            importlib.import_module(module)


def run_worker(options: argparse.Namespace, registry: HandlerRegistry, settings: WorkerSettings, report_to: int | None = None) -> Ending:
    """Serve until SIGTERM, SIGINT or SIGHUP. Raises `ConfigurationError`.

    `report_to` is the file descriptor a supervisor reads reports from; without one the process answers for itself.
    """
    telemetry.configure(options.service)
    handler_threads.resize(options.threads)
    spare_collector()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_Serving(options, registry, settings).serve(report_to))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if importlib.util.find_spec("uvloop") is None:
        return None
    import uvloop

    return uvloop.new_event_loop


class _Serving:
    """Implements `Health` for a process without a supervisor."""

    def __init__(self, options: argparse.Namespace, registry: HandlerRegistry, settings: WorkerSettings) -> None:
        self._options = options
        self._broker = RabbitBroker(settings.amqp_url, name=f"dualrun events {options.service}")
        self._inbox = _inbox(settings)
        self._breakers = _breakers(settings, options.service)
        in_force = FlagsInForce(Side.EVENTS)
        self._follower = _follower(settings, in_force)
        self._worker = EventWorker(
            self._broker,
            registry,
            service=options.service,
            announcer=_announcer(settings),
            inbox=self._inbox,
            breakers=self._breakers,
            in_force=in_force,
            broadcast=Broadcast(self._broker),
            concurrency=options.concurrency,
            shadow_concurrency=options.shadow_concurrency,
            prefetch=options.prefetch,
            priorities=options.priorities,
        )
        self._stop, self._hurry = asyncio.Event(), asyncio.Event()
        self._ending = Ending.STOPPED

    def fault(self) -> str | None:
        return None

    def not_ready(self) -> str | None:
        return None if self._worker.report().is_ready else "it does not consume"

    def metrics(self) -> bytes:
        return metrics_text(self._worker.report(), service=self._options.service, processes=1, restarts=0)

    async def serve(self, report_to: int | None) -> Ending:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._signalled)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._close)
            if report_to is None:
                loop.add_signal_handler(signal.SIGINT, self._signalled)
                loop.add_signal_handler(signal.SIGHUP, lambda: asyncio.ensure_future(self._reload()))
                await self._answer(stack)
            else:
                reporting = asyncio.create_task(self._report(report_to), name="report")
                stack.callback(reporting.cancel)
            await _unless(self._stop, self._begin())
            await self._stop.wait()
            # A second signal means: now.
            if not await _unless(self._hurry, self._worker.stop(self._options.drain_s)):
                await self._worker.stop(0.0)
        return self._ending

    def _signalled(self) -> None:
        (self._hurry if self._stop.is_set() else self._stop).set()

    async def _reload(self) -> None:
        if await asyncio.to_thread(can_begin_anew) and not self._stop.is_set():
            self._ending = Ending.RELOAD
            self._stop.set()

    async def _begin(self) -> None:
        if self._follower is not None:
            self._follower.start()
        await patiently(self._broker.connect)
        await self._worker.start()

    async def _close(self) -> None:
        if self._follower is not None:
            await asyncio.to_thread(self._follower.stop)
        await self._broker.close()
        if self._inbox is not None:
            await self._inbox.close()
        if self._breakers is not None:
            await self._breakers.close()

    async def _answer(self, stack: AsyncExitStack) -> None:
        options = self._options
        if options.metrics_port is not None:
            server = await asyncio.get_running_loop().create_server(
                lambda: HealthProtocol(self), options.metrics_host, options.metrics_port, reuse_address=True
            )
            stack.callback(server.close)

    async def _report(self, to: int) -> None:
        unsent = b""
        while True:
            unsent = unsent or msgspec.json.encode(self._worker.report()) + b"\n"
            try:
                unsent = unsent[os.write(to, unsent) :]
            except BlockingIOError:
                # The supervisor is busy. A line that was begun has to be ended first.
                log.debug("report_delayed")
            except OSError:
                log.warning("supervisor_gone")
                self._stop.set()
                return
            await asyncio.sleep(_REPORT_EVERY_S)


def _announcer(settings: WorkerSettings) -> Announcer | None:
    if settings.redis_url is None:
        log.warning("worker_not_announced", extra={"reason": "DUALRUN_REDIS_URL is not set: the gateway will not know these tasks"})
        return None
    from dualrun.announce_redis import RedisAnnouncer

    return RedisAnnouncer(settings.redis_url, settings.redis_prefix)


def _follower(settings: WorkerSettings, in_force: FlagsInForce) -> FlagsFollower | None:
    if settings.redis_url is None:
        log.warning("flags_not_followed", extra={"reason": "DUALRUN_REDIS_URL is not set: what a rollback recalls is run all the same"})
        return None
    copy = settings.state_dir / "worker-flags.json"
    return FlagsFollower(in_force, settings.redis_url, settings.redis_prefix, last_known_good=copy)


def _inbox(settings: WorkerSettings) -> Inbox | None:
    if settings.redis_url is None:
        log.warning("repeats_not_recognised", extra={"reason": "DUALRUN_REDIS_URL is not set: a redelivered event is run again"})
        return None
    from dualrun.inbox_redis import RedisInbox

    return RedisInbox(settings.redis_url, settings.redis_prefix, lease_s=settings.claim_lease_s)


def _breakers(settings: WorkerSettings, service: str) -> BreakerBoard | None:
    if settings.redis_url is None:
        return None
    from dualrun.breakers_redis import RedisBreakerBoard

    return RedisBreakerBoard(settings.redis_url, settings.redis_prefix, service)


async def _unless(event: asyncio.Event, work: Coroutine[object, object, None]) -> bool:
    """Do the work; where the event comes first, cancel it and answer False."""
    working, waiting = asyncio.ensure_future(work), asyncio.ensure_future(event.wait())
    await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if not working.done():
        await cancelled(working)
        return False
    working.result()
    return True
